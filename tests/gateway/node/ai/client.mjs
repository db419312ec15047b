// Vercel's AI SDK, unmodified: every check with each of its providers. Arguments: the gateway's address, a key, the
// models. Prints one JSON line for each check: its name, and what went wrong, if anything.

import assert from "node:assert/strict";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createAzure } from "@ai-sdk/azure";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import {
  APICallError, embedMany, generateImage, generateText, isStepCount, Output, streamText, tool, transcribe,
} from "ai";
import { z } from "zod";

const [url, apiKey, named] = process.argv.slice(2);
const models = JSON.parse(named);
const prompt = "Which cloud is this?";
const Place = z.object({ city: z.string(), people: z.number().int() });

const openai = (key = apiKey) => createOpenAI({ baseURL: `${url}/v1`, apiKey: key });
const azure = (key = apiKey) => createAzure({ baseURL: `${url}/openai`, apiKey: key });
const compatible = (key = apiKey) => createOpenAICompatible({
  name: "clauseway", baseURL: `${url}/v1`, apiKey: key, includeUsage: true,
  supportsStructuredOutputs: true,
});
const anthropic = (key = apiKey) => createAnthropic({ baseURL: `${url}/v1`, apiKey: key });
const providers = {
  "OpenAI's responses": [openai, (provider, name) => provider(name), models.chat],
  "OpenAI's chat": [openai, (provider, name) => provider.chat(name), models.chat],
  "Azure's responses": [azure, (provider, name) => provider(name), models.chat],
  "Azure's chat": [azure, (provider, name) => provider.chat(name), models.chat],
  "a compatible server's": [compatible, (provider, name) => provider.chatModel(name), models.chat],
  "Anthropic's": [anthropic, (provider, name) => provider(name), models.claude],
};
const tools = {
  weather: tool({
    description: "The weather of a city.",
    inputSchema: z.object({ city: z.string() }),
    execute: async ({ city }) => `Fog in ${city}.`,
  }),
};

async function rejected(promise, status, code) {
  const error = await promise.then(() => assert.fail("it succeeded"), (reason) => reason);
  assert.ok(APICallError.isInstance(error), `${error}`);
  assert.equal(error.statusCode, status);
  assert.equal(JSON.parse(error.responseBody).error.code, code);
  return error;
}

const checks = {};
for (const [title, [provider, of, name]] of Object.entries(providers)) {
  const model = of(provider(), name);
  const once = { model, prompt, maxRetries: 0 };

  checks[`${title} text`] = async () => {
    const answer = await generateText(once);
    assert.ok(answer.text);
    assert.equal(answer.finishReason, "stop");
    assert.ok(answer.usage.inputTokens > 0 && answer.usage.outputTokens > 0);
    assert.match(answer.response.headers["x-clauseway-request-id"], /^req_/);
  };

  checks[`${title} stream`] = async () => {
    const stream = streamText(once);
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    assert.equal(text, (await generateText(once)).text);
    assert.equal(await stream.finishReason, "stop");
    assert.ok((await stream.usage).outputTokens > 0);
  };

  checks[`${title} tools`] = async () => {
    const answer = await generateText({ ...once, tools, stopWhen: isStepCount(3) });
    assert.equal(answer.steps.length, 2);
    assert.match(answer.steps[0].toolResults[0].output, /^Fog in /);
    assert.ok(answer.text);
    const stream = streamText({ ...once, tools, toolChoice: "required" });
    const calls = [];
    for await (const part of stream.fullStream) if (part.type === "tool-call") calls.push(part);
    assert.equal(calls[0].toolName, "weather");
    assert.equal(typeof calls[0].input.city, "string");
  };

  checks[`${title} structured output`] = async () => {
    const answer = await generateText({ ...once, output: Output.object({ schema: Place }) });
    assert.equal(typeof answer.output.city, "string");
  };

  checks[`${title} errors`] = async () => {
    const stranger = { ...once, model: of(provider("sk-nobody"), name) };
    await rejected(generateText(stranger), 401, "invalid_api_key");
    await rejected(generateText({ ...once, model: of(provider(), "model-9") }), 404, "model_not_found");
    const failing = of(provider(), name === models.claude ? models.failingClaude : models.failing);
    await rejected(generateText({ ...once, model: failing }), 502, "clouds_failed");
    const parts = [];
    for await (const part of streamText({ ...once, model: failing, onError: () => {} }).fullStream) parts.push(part);
    assert.equal(parts.at(-1).type, "error");
    assert.equal(parts.at(-1).error.statusCode, 502);
  };

  checks[`${title} abort`] = async () => {
    const leaving = new AbortController();
    const stream = streamText({ ...once, prompt: "Long.", abortSignal: leaving.signal });
    const kinds = [];
    for await (const part of stream.fullStream) {
      kinds.push(part.type);
      if (part.type === "text-delta") leaving.abort();
    }
    assert.equal(kinds.at(-1), "abort");
    assert.ok((await generateText(once)).text);
  };
}

for (const [title, provider] of [["OpenAI's", openai], ["Azure's", azure], ["a compatible server's", compatible]]) {
  checks[`${title} embeddings`] = async () => {
    const model = provider().embeddingModel(models.embedding);
    const { embeddings, usage } = await embedMany({ model, values: ["a", "b"], maxRetries: 0 });
    assert.equal(embeddings.length, 2);
    assert.ok(usage.tokens > 0);
  };
}

checks["OpenAI's pictures and transcriptions"] = async () => {
  const { image } = await generateImage({ model: openai().image(models.image), prompt, maxRetries: 0 });
  assert.ok(image.base64.length > 0);
  const audio = Buffer.concat([Buffer.from("RIFF"), Buffer.alloc(4), Buffer.from("WAVE"), Buffer.alloc(40000)]);
  const heard = await transcribe({ model: openai().transcription(models.transcription), audio, maxRetries: 0 });
  assert.ok(heard.text);
};

for (const [name, check] of Object.entries(checks)) {
  let wrong = "";
  try {
    await check();
  } catch (error) {
    wrong = `${error?.stack ?? error} ${error?.responseBody ?? ""}`;
  }
  console.log(JSON.stringify({ name, wrong }));
}
