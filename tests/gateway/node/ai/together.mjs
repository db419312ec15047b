// Vercel's AI SDK, unmodified, told what to ask, as clients/together.py is. Arguments: the gateway's address, a key, and
// how often an error is asked again.

import { createInterface } from "node:readline";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, streamText } from "ai";

const [url, apiKey, retries] = process.argv.slice(2);
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey });

async function streamed(once) {
  let text = "";
  let failure;
  const stream = streamText({ ...once, onError: ({ error }) => { failure = error; } });
  try {
    for await (const piece of stream.textStream) text += piece;
  } catch (error) {
    // The body of a stream that broke has no end: the SDK tells the error in it first.
    throw failure ?? error;
  }
  if (failure) throw failure;
  return text;
}

async function outcome(ask) {
  try {
    return { text: await ask() };
  } catch (error) {
    return { error: error?.name ?? "", said: `${error?.message ?? JSON.stringify(error)}`.slice(0, 500) };
  }
}

async function asked(model) {
  const once = { model: openai.chat(model), prompt: "Which cloud is this?", maxRetries: Number(retries) };
  const whole = await outcome(async () => (await generateText(once)).text);
  console.log(JSON.stringify({ name: "the AI SDK", model, whole, streamed: await outcome(() => streamed(once)) }));
}

for await (const line of createInterface({ input: process.stdin })) await Promise.all(JSON.parse(line).map(asked));
