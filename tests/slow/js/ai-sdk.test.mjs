// The Vercel AI SDK with its OpenAI provider against the real server and the real model.

import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany, generateObject, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const { CANDOR_URL: url, CANDOR_CHAT_MODEL: chat, CANDOR_EMBED_MODEL: embed } = process.env;
const openai = createOpenAI({ baseURL: `${url}/v1`, apiKey: "none" });
const prompt = "What is the capital of France?";
const settings = { temperature: 0, maxOutputTokens: 40, maxRetries: 0 };

for (const [name, model] of [["chat completions", openai.chat(chat)], ["responses", openai.responses(chat)]]) {
  test(`${name}: a text is answered with its usage`, async () => {
    const { text, usage, finishReason } = await generateText({ model, prompt, ...settings });
    assert.match(text, /Paris/);
    assert.equal(finishReason, "stop");
    assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0);
  });

  test(`${name}: a stream adds up to the answer`, async () => {
    const whole = await generateText({ model, prompt, ...settings });
    const stream = streamText({ model, prompt, ...settings });
    let text = "";
    let pieces = 0;
    for await (const piece of stream.textStream) {
      text += piece;
      pieces++;
    }
    assert.equal(text, whole.text);
    assert.ok(pieces > 3);
    assert.ok((await stream.usage).outputTokens > 0);
  });

  test(`${name}: a tool is called with arguments that fit`, async () => {
    const tools = { get_weather: tool({ description: "The weather in a city.", inputSchema: z.object({ city: z.string().max(30) }) }) };
    const { toolCalls, finishReason } = await generateText({ model, prompt: "Weather in Paris?", tools, toolChoice: "required", ...settings, maxOutputTokens: 100 });
    assert.equal(finishReason, "tool-calls");
    assert.equal(toolCalls[0].toolName, "get_weather");
    assert.equal(typeof toolCalls[0].input.city, "string");
  });

  test(`${name}: a tool's answer is read, and the conversation goes on`, async () => {
    const execute = async () => ({ weather: "sunny" });
    const tools = { get_weather: tool({ description: "The weather in a city.", inputSchema: z.object({ city: z.string().max(10) }), execute }) };
    const prepareStep = ({ stepNumber }) => ({ toolChoice: stepNumber === 0 ? "required" : "none" });
    const more = { tools, prepareStep, stopWhen: stepCountIs(2), ...settings, maxOutputTokens: 150 };
    const { steps, response } = await generateText({ model, prompt: "Weather in Paris?", ...more });
    assert.equal(steps.length, 2);
    // Over the responses API the SDK names what the server has stored instead of sending it again.
    const messages = [{ role: "user", content: "Weather in Paris?" }, ...response.messages, { role: "user", content: "And tomorrow?" }];
    assert.ok((await generateText({ model, messages, ...settings })).text.length > 0);
  });

  test(`${name}: an object fits its schema`, async () => {
    const schema = z.object({ name: z.string().max(20), age: z.number().int().min(0).max(120) });
    const { object } = await generateObject({ model, schema, prompt: "Describe a person.", ...settings, maxOutputTokens: 120 });
    schema.parse(object);
  });
}

test("plain completions go on", async () => {
  const { text } = await generateText({ model: openai.completion(chat), prompt: "Paris is the capital of", ...settings, maxOutputTokens: 8 });
  assert.ok(text.length > 0);
});

test("texts are embedded", async () => {
  const { embeddings } = await embedMany({ model: openai.embedding(embed), values: ["Hello", "World"] });
  assert.deepEqual(embeddings.map((vector) => vector.length), [384, 384]);
});
