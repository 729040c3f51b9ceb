// The page in a real browser, against the real server. Each check is a sentence; `node e2e/run.mjs WORD` runs those that
// hold the word (a regular expression).

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { checks } from "./checks.mjs";
import { grounded } from "./grounded.mjs";
import { hostile } from "./hostile.mjs";
import { launch, openPage, Server } from "./harness.mjs";
import { pages } from "./pages.mjs";
import { placed } from "./placed.mjs";
import { streaming } from "./streaming.mjs";
import { Upstream } from "./upstream.mjs";
import { words } from "./words.mjs";

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Fails where axe finds anything, of any severity. */
export async function axe(page, where, { without = [] } = {}) {
  await page.evaluate(axeSource);
  const violations = await page.evaluate(async (without) => {
    // What moves is judged where it comes to rest.
    const moving = document.getAnimations().filter((one) => one.effect?.getComputedTiming().endTime !== Infinity);
    await Promise.allSettled(moving.map((one) => one.finished));
    const { violations } = await globalThis.axe.run({ rules: Object.fromEntries(without.map((rule) => [rule, { enabled: false }])) });
    return violations.map((one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
  }, without);
  assert.deepEqual(violations, [], `axe, ${where}`);
}

const wanted = process.argv[2] ?? "";
const upstream = await new Upstream().start();
const server = new Server({ config: upstream.config });
const browser = await launch();
let failed = 0;
let passed = 0;
try {
  await server.start();
  for (const [name, check] of Object.entries({ ...checks, ...grounded, ...pages, ...streaming, ...hostile, ...placed, ...words })) {
    if (!new RegExp(wanted).test(name)) continue;
    const start = Date.now();
    let page;
    const open = async (options) => (page = await openPage(browser, server, options));
    try {
      await check({ server, upstream, browser, open, axe });
      assert.deepEqual(page?.complaints ?? [], [], "what the browser complained of");
      passed++;
      console.log(`ok    ${name} (${((Date.now() - start) / 1000).toFixed(1)} s)`);
    } catch (error) {
      failed++;
      console.log(`FAIL  ${name}\n      ${String(error.stack ?? error).replaceAll("\n", "\n      ")}`);
      if (page && process.env.CANDOR_E2E_SHOTS) await page.screenshot({ path: `${process.env.CANDOR_E2E_SHOTS}/${name.replaceAll(/\W+/g, "-").slice(0, 60)}.png` }).catch(() => {});
    }
    await page?.context().close();
  }
} finally {
  await browser.close();
  await server.end();
  upstream.end();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
