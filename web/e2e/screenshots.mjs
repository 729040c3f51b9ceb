// Takes the pictures in docs/images: the real page, the real server, the real small model, a fixed seed.
// `make screenshots`, or with a word to take only the pictures whose name holds it.

import { mkdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { launch, openPage, Server } from "./harness.mjs";
import { add, library } from "./library.mjs";

const images = process.env.CANDOR_IMAGES ?? resolve(dirname(fileURLToPath(import.meta.url)), "../../docs/images");
const wanted = process.argv[2] ?? "";
const sampling = { temperature: 0.3, seed: 4, max_tokens: 320 };

/** What the model is asked; one conversation each, the last one is shown. */
const questions = ["Give me three names for a black cat.", "How does a lighthouse work?", "Write a haiku about the sea.", "Give me five tips for a good night's sleep."];

/** Written by us, to show what the page sets; imported, so that nobody takes it for the model's. */
const rich = `The area under a bell curve is finite:

$$\\int_{-\\infty}^{\\infty} e^{-x^2}\\,dx = \\sqrt{\\pi}$$

You can check it in a few lines:

\`\`\`python
from math import exp, pi, sqrt

def area(steps=10_000, reach=6.0):
    width = 2 * reach / steps
    return sum(exp(-(i * width - reach) ** 2) for i in range(steps)) * width

print(area() - sqrt(pi))  # about 0
\`\`\`

| steps | error |
| ----: | :---- |
| 10 | $2 \\cdot 10^{-3}$ |
| 100 | below $10^{-12}$ |
`;

const finished = (page) => page.waitForFunction(() => document.querySelectorAll("article.answer").length > 0 && !document.querySelector("article.answer[aria-busy=true]"), undefined, { timeout: 120_000 });

/** Asked of the documents in library.mjs, in this order. */
const grounded = {
  quoted: ["How much does a season ticket for the pool cost?", "How long is a stall permit valid?"],
  abstained: ["Who designed the new school kitchen?"],
  disputed: ["When was the stone bridge over the Lenne finished?"],
  chinese: ["摊位许可证多长时间内有效？"],
};
const opened = async (page) => {
  await page.locator("button.mark-button[data-mark=quoted]").first().click();
  await page.locator(".evidence mark").waitFor();
};
/** The last quote is from a PDF: the picture of its page. */
const drawn = async (page) => {
  await page.locator("button.mark-button[data-mark=quoted]").last().click();
  await page.locator(".sheet mark").first().waitFor();
};
const phone = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };

const pictures = {
  async truth({ shot, quoted }) {
    await shot({ path: `c/${quoted}`, ready: opened });
  },
  async "truth-pdf"({ shot, quoted }) {
    await shot({ path: `c/${quoted}`, ready: drawn });
  },
  async "truth-pdf-phone"({ shot, quoted }) {
    await shot({ path: `c/${quoted}`, ...phone, ready: drawn });
  },
  async "truth-dark"({ shot, quoted }) {
    await shot({ path: `c/${quoted}`, colorScheme: "dark", ready: opened });
  },
  async "truth-chinese"({ shot, chinese }) {
    await shot({ path: `c/${chinese}`, locale: "zh-CN", ready: opened });
  },
  async "truth-phone"({ shot, quoted }) {
    await shot({ path: `c/${quoted}`, ...phone });
  },
  async "truth-phone-passage"({ shot, quoted }) {
    await shot({ path: `c/${quoted}`, ...phone, ready: opened });
  },
  async "truth-disputed"({ shot, disputed }) {
    await shot({ path: `c/${disputed}` });
  },
  async abstention({ shot, abstained }) {
    await shot({ path: `c/${abstained}` });
  },
  async "abstention-chinese"({ shot, abstained }) {
    await shot({ path: `c/${abstained}`, locale: "zh-CN" });
  },
  async "abstention-phone"({ shot, abstained }) {
    await shot({ path: `c/${abstained}`, ...phone });
  },
  async sources({ shot }) {
    const ready = async (page) => {
      await page.locator(".library").click();
      await page.locator(".shelf > li").first().waitFor();
    };
    await shot({ path: "", ready });
  },
  async page({ shot, asked }) {
    await shot({ path: `c/${asked}` });
  },
  async "page-dark"({ shot, rich }) {
    await shot({ path: `c/${rich}`, colorScheme: "dark", ready: (page) => page.locator(".code code span[style]").first().waitFor() });
  },
  async "page-phone"({ shot, asked }) {
    await shot({ path: `c/${asked}`, viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true });
  },
  async "page-chinese"({ shot, asked }) {
    await shot({ path: `c/${asked}`, locale: "zh-CN" });
  },
  async "page-empty"({ shot }) {
    await shot({ path: "" });
  },
};

const server = new Server();
const browser = await launch();
try {
  await server.start();
  mkdirSync(images, { recursive: true });
  /** Asks in a new conversation; its id. */
  const conversation = async (settings, ...questions) => {
    const { id } = await server.api("POST", "conversations", settings);
    const page = await openPage(browser, server);
    await page.goto(`${server.url}c/${id}`);
    for (const [n, question] of questions.entries()) {
      await page.locator("#composer").fill(question);
      await page.locator("#composer").press("Enter");
      await page.waitForFunction((n) => document.querySelectorAll("article.answer[aria-busy=false]").length > n, n, { timeout: 120_000 });
    }
    await page.context().close();
    return id;
  };
  let asked;
  for (const question of questions) asked = await conversation({ sampling }, question);
  await add(server, ...library);
  const ids = {};
  for (const [name, questions] of Object.entries(grounded)) ids[name] = await conversation({ sampling, sources: "all" }, ...questions);
  const messages = [["user", "Why is the Gaussian integral finite? Show it."], ["assistant", rich]];
  const made = await server.api("POST", "import", {
    format: "candor.conversation/1",
    title: "The Gaussian integral",
    messages: messages.map(([role, content], n) => ({ id: String(n), parent: n ? String(n - 1) : null, role, content })),
  });
  for (const [name, take] of Object.entries(pictures)) {
    if (!name.includes(wanted)) continue;
    const shot = async ({ path, ready, ...options }) => {
      const page = await openPage(browser, server, { viewport: { width: 1280, height: 800 }, ...options });
      await page.goto(server.url + path);
      await page.locator("#composer").waitFor();
      if (path) await finished(page);
      await ready?.(page);
      await page.evaluate(() => document.activeElement?.blur());
      await page.waitForTimeout(400);
      await page.screenshot({ path: join(images, `${name}.png`) });
      if (page.complaints.length) throw new Error(page.complaints.join("\n"));
      await page.context().close();
      console.log(`docs/images/${name}.png`);
    };
    await take({ shot, asked, rich: made.id, ...ids });
  }
} finally {
  await browser.close();
  await server.end();
}
