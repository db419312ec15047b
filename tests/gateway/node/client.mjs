// Every check with the official client for Node, unmodified. Arguments: the gateway's address, a key, the models.
// Prints one JSON line for each check: its name, and what went wrong, if anything.

import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI, toFile } from "openai";
import { zodResponseFormat, zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

const [url, apiKey, named] = process.argv.slice(2);
const models = JSON.parse(named);
const model = models.chat;
const messages = [{ role: "user", content: "Which cloud is this?" }];
const Place = z.object({ city: z.string(), people: z.number().int() });
const tool = {
  type: "function",
  function: { name: "weather", parameters: { type: "object", properties: { city: { type: "string" } } } },
};

function client(options = {}) {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0, ...options });
}

function counting() {
  const counted = { requests: 0 };
  counted.fetch = (...request) => {
    counted.requests += 1;
    return fetch(...request);
  };
  return counted;
}

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

async function rejected(promise, kind, code) {
  const error = await promise.then(() => assert.fail("it succeeded"), (reason) => reason);
  assert.ok(error instanceof kind, `${error}`);
  if (code) assert.equal(error.code, code);
  return error;
}

const checks = {
  async chat() {
    const { data, response } = await client().chat.completions.create({ model, messages }).withResponse();
    assert.ok(data.choices[0].message.content);
    assert.equal(response.headers.get("x-clauseway-cloud"), "openai");
  },

  async "chat streamed"() {
    const chunks = await all(await client().chat.completions.create({ model, messages, stream: true }));
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    assert.ok(chunks.every((chunk) => !("usage" in chunk)));
    const options = { include_usage: true };
    const counted = await all(
      await client().chat.completions.create({ model, messages, stream: true, stream_options: options }),
    );
    assert.ok(counted.at(-1).usage.completion_tokens > 0);
  },

  async "chat through the stream helper"() {
    const stream = client().chat.completions.stream({ model, messages });
    assert.ok((await stream.finalContent()).length > 0);
  },

  async "structured output"() {
    const format = zodResponseFormat(Place, "place");
    const answer = await client().chat.completions.parse({ model, messages, response_format: format });
    assert.equal(typeof answer.choices[0].message.parsed.city, "string");
  },

  async tools() {
    const answer = await client().chat.completions.create({ model, messages, tools: [tool], tool_choice: "required" });
    assert.equal(answer.choices[0].message.tool_calls[0].function.name, "weather");
  },

  async "Azure's class"() {
    const azure = new AzureOpenAI({ endpoint: url, apiKey, apiVersion: "2024-10-21", maxRetries: 0 });
    assert.ok((await azure.chat.completions.create({ model, messages })).choices[0].message.content);
    assert.ok((await azure.embeddings.create({ model: models.embedding, input: "a" })).data[0].embedding.length > 0);
  },

  async responses() {
    const openai = client();
    const made = await openai.responses.create({ model, input: "Hello." });
    assert.ok(made.output_text);
    assert.equal((await openai.responses.retrieve(made.id)).id, made.id);
    assert.ok((await openai.responses.inputItems.list(made.id)).data.length > 0);
    await openai.responses.create({ model, input: "Go on.", previous_response_id: made.id });
    await openai.responses.delete(made.id);
    await rejected(openai.responses.retrieve(made.id), OpenAI.NotFoundError, "not_found");
  },

  async "responses streamed, parsed, polled"() {
    const openai = client();
    const events = await all(await openai.responses.create({ model, input: "Hello.", stream: true }));
    assert.equal(events.at(-1).type, "response.completed");
    const parsed = await openai.responses.parse({ model, input: "Where?", text: { format: zodTextFormat(Place, "p") } });
    assert.equal(typeof parsed.output_parsed.city, "string");
    let polled = await openai.responses.create({ model, input: "Later.", background: true });
    while (["queued", "in_progress"].includes(polled.status)) polled = await openai.responses.retrieve(polled.id);
    assert.equal(polled.status, "completed");
  },

  async "embeddings, images, audio, moderations"() {
    const openai = client();
    assert.equal((await openai.embeddings.create({ model: models.embedding, input: ["a", "b"] })).data.length, 2);
    assert.ok((await openai.images.generate({ model: models.image, prompt: "A cloud." })).data[0].b64_json);
    const speech = await openai.audio.speech.create({ model: models.speech, voice: "alloy", input: "Hello." });
    assert.ok((await speech.arrayBuffer()).byteLength > 0);
    const file = await toFile(Buffer.concat([Buffer.from("RIFF"), Buffer.alloc(40000)]), "a.wav");
    assert.ok((await openai.audio.transcriptions.create({ model: models.transcription, file })).text);
    assert.equal((await openai.moderations.create({ input: "Hello." })).results[0].flagged, false);
  },

  async "files and batches"() {
    const openai = client();
    const endpoint = "/v1/chat/completions";
    const lines = (name) => toFile(Buffer.from(
      JSON.stringify({ custom_id: "a", method: "POST", url: endpoint, body: { model: name, messages } }),
    ), "b.jsonl");
    const made = [];
    for (const cloud of ["openai", "azure"]) {
      const headers = { "x-clauseway-cloud": cloud };
      const file = await openai.files.create({ file: await lines(model), purpose: "batch" }, { headers });
      let batch = await openai.batches.create({ input_file_id: file.id, endpoint, completion_window: "24h" });
      while (batch.status !== "completed") batch = await openai.batches.retrieve(batch.id);
      const answers = await (await openai.files.content(batch.output_file_id)).text();
      assert.equal(JSON.parse(answers).response.status_code, 200, cloud);
      made.unshift(batch.id);
    }
    assert.deepEqual((await all(openai.batches.list({ limit: 1 }))).map((one) => one.id).slice(0, 2), made);
    assert.equal((await all(openai.files.list({ limit: 1, purpose: "batch" }))).length >= 2, true);
    const file = await lines("gpt-9");
    await rejected(openai.files.create({ file, purpose: "batch" }), OpenAI.NotFoundError, "model_not_found");
  },

  async "models"() {
    assert.ok((await all(client().models.list())).some((one) => one.id === model));
  },

  async "errors"() {
    const openai = client();
    await rejected(client({ apiKey: "sk-nobody" }).models.list(), OpenAI.AuthenticationError, "invalid_api_key");
    await rejected(openai.chat.completions.create({ model: "gpt-9", messages }), OpenAI.NotFoundError, "model_not_found");
    await rejected(openai.chat.completions.create({ model, messages, n: 0 }), OpenAI.BadRequestError, "invalid_body");
    const elsewhere = { headers: { "x-clauseway-cloud": "moon" } };
    const refused = openai.chat.completions.create({ model, messages }, elsewhere);
    await rejected(refused, OpenAI.BadRequestError, "unknown_cloud");
  },

  async "its retries do not multiply ours"() {
    const counted = counting();
    const headers = { "x-sandbox": "is not told of it" };
    const openai = client({ maxRetries: 2, fetch: counted.fetch, defaultHeaders: headers });
    const error = await rejected(
      openai.chat.completions.create({ model: models.failing, messages }), OpenAI.InternalServerError, "clouds_failed",
    );
    assert.equal(error.headers.get("x-should-retry"), "false");
    assert.equal(counted.requests, 1);
  },
};

for (const [name, check] of Object.entries(checks)) {
  let wrong = "";
  try {
    await check();
  } catch (error) {
    wrong = `${error?.stack ?? error}`;
  }
  console.log(JSON.stringify({ name, wrong }));
}
