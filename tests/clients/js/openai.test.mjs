// The official OpenAI client for JavaScript against the real server and the real model.

import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI from "openai";

const { CANDOR_URL: url, CANDOR_CHAT_MODEL: chat, CANDOR_EMBED_MODEL: embed } = process.env;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: "none", maxRetries: 0 });
const messages = [{ role: "user", content: "What is the capital of France?" }];
const ask = (more = {}) => client.chat.completions.create({ model: chat, messages, temperature: 0, max_completion_tokens: 24, ...more });

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string", maxLength: 30 } }, required: ["city"], additionalProperties: false },
  },
};

test("models are listed", async () => {
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes(chat) && names.includes(embed));
});

test("a question is answered, and a stream says the same and ends with the usage", async () => {
  const whole = await ask();
  assert.match(whole.choices[0].message.content, /Paris/);
  let text = "";
  let usage;
  for await (const chunk of await ask({ stream: true, stream_options: { include_usage: true } })) {
    text += chunk.choices[0]?.delta.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.equal(text, whole.choices[0].message.content);
  assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
});

test("the same seed says the same, n gives several, logprobs come twenty at a time", async () => {
  const sampled = { temperature: 1, seed: 3, n: 2, logprobs: true, top_logprobs: 20 };
  const [first, second] = [await ask(sampled), await ask(sampled)];
  assert.deepEqual(first.choices, second.choices);
  assert.equal(first.choices.length, 2);
  assert.equal(first.choices[0].logprobs.content[0].top_logprobs.length, 20);
});

test("a required tool is called with JSON, also in the client's stream helper", async () => {
  const wanted = { tools: [weather], tool_choice: "required", max_completion_tokens: 100 };
  const { message } = (await ask(wanted)).choices[0];
  assert.equal(typeof JSON.parse(message.tool_calls[0].function.arguments).city, "string");
  const streamed = client.chat.completions.stream({ model: chat, messages, temperature: 0, ...wanted });
  const final = await streamed.finalChatCompletion();
  assert.equal(final.choices[0].message.tool_calls[0].function.arguments, message.tool_calls[0].function.arguments);
});

test("JSON of a schema fits it", async () => {
  const schema = { type: "object", properties: { n: { type: "integer", minimum: 0, maximum: 99 } }, required: ["n"], additionalProperties: false };
  const answer = await ask({ response_format: { type: "json_schema", json_schema: { name: "n", schema, strict: true } }, max_completion_tokens: 60 });
  const { n, ...rest } = JSON.parse(answer.choices[0].message.content);
  assert.ok(Number.isInteger(n) && n >= 0 && n <= 99);
  assert.deepEqual(rest, {});
});

test("errors have their own classes and name the field", async () => {
  await assert.rejects(ask({ model: "no-such-model" }), OpenAI.NotFoundError);
  await assert.rejects(ask({ temperature: 9 }), (error) => error instanceof OpenAI.BadRequestError && error.param === "temperature");
  const long = [{ role: "user", content: "word ".repeat(9000) }];
  await assert.rejects(ask({ messages: long }), (error) => error.code === "context_length_exceeded");
});

test("plain completions score a prompt", async () => {
  const answer = await client.completions.create({ model: chat, prompt: "The capital of France is", echo: true, logprobs: 1, max_tokens: 0 });
  const { token_logprobs: scores, tokens } = answer.choices[0].logprobs;
  assert.equal(scores[0], null);
  assert.ok(scores.slice(1).every((score) => score <= 0));
  assert.equal(tokens.join(""), "The capital of France is");
});

test("embeddings are unit vectors", async () => {
  const { data } = await client.embeddings.create({ model: embed, input: ["Hello", "World"] });
  assert.equal(data.length, 2);
  for (const { embedding } of data) assert.ok(Math.abs(Math.hypot(...embedding) - 1) < 1e-5);
});

test("a response is streamed, continued, fetched and deleted", async () => {
  const settings = { model: chat, temperature: 0, max_output_tokens: 24 };
  const stream = await client.responses.create({ ...settings, input: "My name is Ada.", stream: true });
  let text = "";
  let first;
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") text += event.delta;
    if (event.type === "response.completed" || event.type === "response.incomplete") first = event.response;
  }
  assert.equal(first.output[0].content[0].text, text);
  const second = await client.responses.create({ ...settings, input: "What did I say?", previous_response_id: first.id });
  assert.equal((await client.responses.retrieve(second.id)).output_text, second.output_text);
  await client.responses.delete(second.id);
  await assert.rejects(client.responses.retrieve(second.id), OpenAI.NotFoundError);
});

test("a stream that is aborted ends, and the server answers the next question", async () => {
  const stream = await ask({ stream: true, max_completion_tokens: 4000, ignore_eos: true });
  let seen = 0;
  for await (const _ of stream) {
    if (++seen === 5) stream.controller.abort();
  }
  assert.ok(seen < 100, `${seen} pieces came after all`);
  assert.match((await ask()).choices[0].message.content, /Paris/);
});
