// A pretended OpenAI-compatible server on loopback, for what no small model does on demand: a steady
// stream of many tokens a second, an answer that is hostile, an answer that breaks off.

import { createServer } from "node:http";

/** One token is four characters or so. */
const pieces = (text) => text.match(/[\s\S]{1,4}/gu) ?? [];

/** Markdown of every kind, as often as asked. */
export const tour = (times) =>
  Array.from({ length: times }, (_, n) => `## Part ${n + 1}

This part holds **bold**, *slanted* and \`code\`, a [link](https://example.org/${n}), and a formula, $E_${n} = mc^2$.

| planet | moons | distance |
| :-- | --: | --: |
| Mars | 2 | 1.5 |
| Jupiter | 95 | 5.2 |
| Saturn | 146 | 9.6 |

\`\`\`python
def area_${n}(steps=10_000, reach=6.0):
    """The area under a bell curve."""
    width = 2 * reach / steps
    return sum(exp(-(i * width - reach) ** 2) for i in range(steps)) * width
\`\`\`

1. First, one thing that takes a line or so to say.
2. Then another.
   - with something below it
   - and something else

$$\\int_{-\\infty}^{\\infty} e^{-x^2}\\,dx = \\sqrt{\\pi}$$

> A quiet remark, so that there is a quotation too.
`).join("\n");

export class Upstream {
  /** What the next answers hold, at how many tokens a second; `breaks`: the connection is cut at the end. */
  text = "Well.";
  rate = 200;
  breaks = false;
  asked = [];

  async start() {
    this.server = createServer((request, response) => void this.answer(request, response));
    await new Promise((done) => this.server.listen(0, "127.0.0.1", done));
    return this;
  }

  get config() {
    return `[[upstream]]\nname = "elsewhere"\nreplicas = ["http://127.0.0.1:${this.server.address().port}"]\nmodels = [{ id = "pretender", context = 32768 }]\n`;
  }

  async answer(request, response) {
    const body = [];
    for await (const piece of request) body.push(piece);
    if (request.method === "GET") {
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ object: "list", data: [{ id: "pretender", object: "model" }] }));
      return;
    }
    this.asked.push(JSON.parse(Buffer.concat(body).toString()));
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const send = (choice, more = {}) => response.write(`data: ${JSON.stringify({ id: "x", object: "chat.completion.chunk", created: 1, model: "pretender", choices: choice ? [{ index: 0, finish_reason: null, ...choice }] : [], ...more })}\n\n`);
    const all = pieces(this.text);
    const start = performance.now();
    let sent = 0;
    while (sent < all.length && !response.destroyed) {
      // Timers come late on a busy machine; what is due by now is sent one by one.
      const due = Math.min(all.length, Math.ceil(((performance.now() - start) / 1000) * this.rate) + 1);
      for (; sent < due; sent++) send({ delta: { content: all[sent] } });
      await new Promise((done) => setTimeout(done, 1000 / this.rate));
    }
    if (this.breaks) {
      response.destroy();
      return;
    }
    send({ delta: {}, finish_reason: "stop" });
    send(null, { usage: { prompt_tokens: 9, completion_tokens: all.length, total_tokens: all.length + 9 } });
    response.end("data: [DONE]\n\n");
  }

  end() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
