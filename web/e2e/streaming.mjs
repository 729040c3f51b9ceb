// Answers that stream fast, from a pretended upstream. How long a frame took, and what the page's thread worked (in time
// of the processor, which the machine's other programs do not stretch much), is printed and never judged. What is judged
// are counts.

import assert from "node:assert/strict";
import { answers, ask, composer, done, fresh, imported } from "./steps.mjs";
import { tour } from "./upstream.mjs";

const elsewhere = { model: "pretender" };
const upTo = (list, share) => Math.round(list[Math.min(list.length - 1, Math.floor(list.length * share))] ?? 0);

/** Notes the time between frames, and what is taken out of the document. */
const watch = (page) =>
  page.evaluate(() => {
    const seen = (window.seen = { gaps: [], removed: 0, flushes: 0 });
    let last = performance.now();
    const frame = (now) => {
      seen.gaps.push(now - last);
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
    new MutationObserver((changes) => {
      seen.flushes++;
      for (const { removedNodes, target } of changes) {
        const block = target.closest?.(".prose > *");
        // Of the last blocks the end may turn out to be something else; what stands before them is finished.
        const after = block ? [...block.parentElement.children].length - [...block.parentElement.children].indexOf(block) : 0;
        if (after > 3) seen.removed += [...removedNodes].filter((node) => node.nodeType === 1 && !node.closest?.(".code") && !target.closest(".code")).length;
      }
    }).observe(document.querySelector(".column"), { childList: true, subtree: true });
  });

export const streaming = {
  async "four hundred tokens a second into a long conversation do not hold up the page"(context) {
    const { server, upstream, open } = context;
    const turns = Array.from({ length: 20 }, (_, n) => [["user", `Question ${n}`], ["assistant", tour(2)]]).flat();
    const made = await imported(server, "Fast and long", turns);
    await server.api("PATCH", `conversations/${made.id}`, elsewhere);
    Object.assign(upstream, { text: tour(8), rate: 400, breaks: false });
    const page = await open();
    await page.goto(`${server.url}c/${made.id}`);
    await answers(page).nth(19).waitFor();
    await page.waitForTimeout(1500);
    await watch(page);
    const processor = await page.context().newCDPSession(page);
    await processor.send("Performance.enable", { timeDomain: "threadTicks" });
    const worked = async () => Object.fromEntries((await processor.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
    const before = await worked();
    const start = Date.now();
    await ask(page, "Tell me all.");
    await answers(page).nth(20).locator("h2").nth(1).waitFor();
    // Typing goes on meanwhile, and the end stays in sight.
    await composer(page).pressSequentially("typed while it streams");
    assert.equal(await composer(page).inputValue(), "typed while it streams");
    assert.ok(await page.evaluate(() => { const box = document.querySelector(".scroller"); return box.scrollHeight - box.scrollTop - box.clientHeight < 200; }), "the end is in sight");
    await done(page, 20);
    const after = await worked();
    const of = (name) => (after[name] - before[name]).toFixed(1);
    const seen = await page.evaluate(() => window.seen);
    const gaps = seen.gaps.sort((a, b) => a - b);
    console.log(`      ${Math.round((Date.now() - start) / 100) / 10} s, frames: median ${upTo(gaps, 0.5)}, 95 % ${upTo(gaps, 0.95)}, 99 % ${upTo(gaps, 0.99)}, longest ${upTo(gaps, 1)} ms (${gaps.length} in all)`);
    console.log(`      the page's thread worked ${of("TaskDuration")} s (scripts ${of("ScriptDuration")}, layout ${of("LayoutDuration")}, styles ${of("RecalcStyleDuration")}) for ${Math.round(upstream.text.length / 4)} tokens`);
    assert.equal(seen.removed, 0, "what was finished is not set again");
    assert.equal(await answers(page).nth(20).locator("h2").count(), 8);
    assert.equal(await answers(page).nth(20).locator("table").count(), 8);
  },

  async "code is coloured while it grows, and its end is the whole code"(context) {
    const code = Array.from({ length: 120 }, (_, n) => `def function_${n}(x):\n    return x + ${n}  # the sum`).join("\n\n");
    Object.assign(context.upstream, { text: `Here it is:\n\n\`\`\`python\n${code}\n\`\`\`\n\nThat is all.`, rate: 300, breaks: false });
    const { page } = await fresh(context, "Growing code", elsewhere);
    await ask(page, "Write a module.");
    await page.locator(".answer[aria-busy=true] .code code span[style]").first().waitFor();
    await done(page);
    await page.waitForFunction((code) => document.querySelector(".code code").textContent === code && document.querySelector(".code code").lastElementChild?.textContent.includes("the sum"), code);
  },

  async "who reads further up is left there, and a question sent from there leads to the end"(context) {
    Object.assign(context.upstream, { text: tour(6), rate: 200, breaks: false });
    const { page } = await fresh(context, "Reading up", elsewhere);
    await ask(page, "Tell me all.");
    await answers(page).locator("h2").nth(1).waitFor();
    await page.locator(".scroller").evaluate((box) => box.scrollTo(0, 0));
    await done(page);
    assert.ok(await page.locator(".scroller").evaluate((box) => box.scrollTop < 50));
    await page.getByRole("button", { name: "To the end" }).waitFor();
    context.upstream.text = "Short.";
    await ask(page, "And again.");
    await done(page, 1);
    assert.ok(await page.locator(".scroller").evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight < 60));
  },

  async "an answer that breaks off keeps what came, says why, and can be had again"(context) {
    Object.assign(context.upstream, { text: "This much came, and then", rate: 200, breaks: true });
    const { page } = await fresh(context, "Breaking off", elsewhere);
    await ask(page, "Say something.");
    await page.locator(".failed").waitFor();
    assert.match(await answers(page).innerText(), /This much came/);
    assert.ok((await page.locator(".failed").innerText()).length > 20);
    await context.axe(page, "failed answer");
    Object.assign(context.upstream, { text: "All of it came.", breaks: false });
    await page.getByRole("button", { name: "Answer again" }).click();
    await answers(page).filter({ hasText: "All of it came." }).waitFor();
  },

  async "a screen reader hears the beginning and the end, not every token"(context) {
    Object.assign(context.upstream, { text: tour(2), rate: 200, breaks: false });
    const { page } = await fresh(context, "Listening", elsewhere);
    await page.evaluate(() => {
      window.said = [];
      const note = () => window.said.push(document.querySelector("[aria-live=polite].sr-only")?.textContent);
      new MutationObserver(note).observe(document.body, { subtree: true, childList: true, characterData: true });
    });
    await ask(page, "Tell me.");
    await done(page);
    await page.waitForFunction(() => /complete/.test(document.querySelector("[aria-live=polite].sr-only").textContent));
    const said = await page.evaluate(() => [...new Set(window.said)].filter(Boolean));
    assert.equal(said.length, 2, said.join(" / "));
    assert.equal(await page.locator("article.answer").evaluate((one) => one.closest("[aria-live]")), null);
  },
};
