// Answers that would hold up, cover or leave the page. Markdown and formulas are read by programs with nested loops in
// them: what follows took minutes before it was bounded, and a page that is held up for a minute fails here.

import assert from "node:assert/strict";
import { answers, ask, composer, done, fresh, imported } from "./steps.mjs";

const many = (text, times) => text.repeat(times);
const lines = (count, line) => Array.from({ length: count }, (_, n) => line(n)).join("\n");

export const heavy = {
  "quotes in quotes": many("> ", 1000) + "deep",
  "lists in lists": lines(400, (n) => `${many("  ", n)}- deep`),
  "lists on one line": many("- ", 1000) + "deep",
  "a line without end": many("lorem ipsum ", 9000),
  "a word without end": many("x", 100_000),
  "emphasis that never ends": many("**a *b _c ", 4000),
  brackets: many("[", 20_000),
  "links in links": many("[", 2000) + "x" + many("](y)", 2000),
  "runs of backticks": Array.from({ length: 400 }, (_, n) => many("`", n)).join(" "),
  "a long table": `| a | b | c |\n| - | - | - |\n${many("| 1 | **2** | $x$ |\n", 3000)}`,
  "a wide table": `${many("| a ", 1000)}|\n${many("| - ", 1000)}|\n${many(`${many("| 1 ", 1000)}|\n`, 10)}`,
  "a long list": many("- item **b** `c`\n", 6000),
  "many formulas": many("$a$ ", 10_000),
  "a formula without end": `$${many("x+", 20_000)}x$`,
  "roots in roots": `$${many("\\sqrt{", 500)}x${many("}", 500)}$`,
  "fractions in fractions": `$$${many("\\frac{", 1000)}x${many("}{y}", 1000)}$$`,
  "a macro that grows": "$\\def\\x#1{#1#1#1#1}\\x{\\x{\\x{\\x{\\x{\\x{\\x{\\x{y}}}}}}}}$ $$\\def\\a{\\a\\a}\\a$$",
  "footnotes of footnotes": `${lines(1500, (n) => `[^${n}]`)}\n\n${lines(1500, (n) => `[^${n}]: see [^${n + 1}]`)}`,
  "brackets of TeX": many("\\[ ", 20_000) + many("\\( ", 20_000),
  "tags that never end": many("<a ", 10_000),
  "broken formulas": "$\\frac{$ $$\\begin{x}$$ $\\foo$ $\\color{red}{$",
};

const covering =
  "$\\rule{100000em}{100000em}$ $\\kern-100000em x$ $\\raisebox{-100000em}{x}$ $\\raisebox{100000em}{x}$ $\\hspace{-1000em}\\rule{20em}{20em}$ " +
  `${many("\\LARGE ", 10)}$${many("\\Huge ", 20)}x$ $\\llap{\\rule{20em}{20em}}$ $\\smash{\\rule{1em}{20em}}$ $\\mathrlap{${many("W", 400)}}$`;

export const hostile = {
  async "an answer too heavy to typeset is shown as it was written, and the page goes on"({ server, open, axe }) {
    const page = await open();
    for (const [name, text] of Object.entries(heavy)) {
      const made = await imported(server, name, [["user", name], ["assistant", text], ["user", "and?"], ["assistant", "done"]]);
      const start = Date.now();
      await page.goto(`${server.url}c/${made.id}`);
      await answers(page).nth(1).waitFor();
      await composer(page).pressSequentially("still here");
      assert.equal(await composer(page).inputValue(), "still here");
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${name}: the page does not scroll sideways`);
      const took = (Date.now() - start) / 1000;
      if (took > 3) console.log(`      ${name}: ${took.toFixed(1)} s`);
      await composer(page).fill("");
      if (name === "broken formulas") await axe(page, name);
    }
    await page.goto(`${server.url}`);
  },

  async "a heavy answer that streams does not freeze the page"(context) {
    Object.assign(context.upstream, { text: `${heavy["a long list"].slice(0, 24_000)}\n\n${many("> ", 1000)}deep\n\n$${many("x+", 4000)}x$\n\nThe end.`, rate: 2000, breaks: false });
    const { page } = await fresh(context, "Heavy", { model: "pretender" });
    await ask(page, "Go on.");
    await page.waitForFunction(() => (document.querySelector("article.answer .prose")?.textContent ?? "").length > 1000);
    await composer(page).pressSequentially("still here");
    assert.equal(await composer(page).inputValue(), "still here");
    await done(page);
    await answers(page).getByText("The end.").waitFor();
  },

  async "a formula covers nothing but its own answer"({ server, open }) {
    const made = await imported(server, "Covering", [["user", "a"], ["assistant", covering], ["user", "b"], ["assistant", "An honest answer."]]);
    const page = await open();
    await page.goto(`${server.url}c/${made.id}`);
    await answers(page).nth(1).waitFor();
    await page.waitForTimeout(300);
    const height = await page.locator(".column").evaluate((one) => one.scrollHeight);
    assert.ok(height < 20_000, `the column is ${height} pixels high`);
    for (const target of [page.getByText("An honest answer."), composer(page), page.getByRole("button", { name: "Choose a model" }), answers(page).nth(1).getByRole("button", { name: "Copy" })]) {
      await target.scrollIntoViewIfNeeded();
      const own = await target.evaluate((one) => {
        const { x, y, width, height } = one.getBoundingClientRect();
        const hit = document.elementFromPoint(x + width / 2, y + height / 2);
        return one.contains(hit) || hit.contains(one);
      });
      assert.ok(own, "it can be clicked");
    }
  },

  async "characters that turn text around stay within their line, and out of code"({ server, open }) {
    const turned = "\u202egnp.evil\u202c";
    const code = `if access \u202e\u2066 != "user" \u2069\u2066: # check\u2069\u2066 pass`;
    const made = await imported(server, `A title \u202ewith a turn`, [["user", `say \u202ethis`], ["assistant", `A ${turned} word, an open \u202eone.\n\nNext line.\n\n\`\`\`python\n${code}\n\`\`\``]]);
    const page = await open();
    await page.goto(`${server.url}c/${made.id}`);
    await page.getByText("Characters that turn the order of the text around were left out.").waitFor();
    assert.doesNotMatch(await page.locator(".code code").textContent(), /[\u202a-\u202e\u2066-\u2069]/);
    await page.locator(".row", { hasText: "A title" }).hover();
    await page.locator(".row", { hasText: "A title" }).getByRole("button").click();
    await page.getByRole("menuitem", { name: "Delete" }).click();
    assert.match(await page.getByRole("dialog").locator("p").textContent(), /\u2068.*\u2069/);
  },

  async "a very long question is folded, and can be unfolded"({ server, open, axe }) {
    const made = await imported(server, "Long question", [["user", many("pasted text ", 20_000)], ["assistant", "Noted."]]);
    const page = await open();
    await page.goto(`${server.url}c/${made.id}`);
    const whole = page.getByRole("button", { name: /Show all/ });
    await whole.waitFor();
    assert.ok((await page.locator(".bubble").textContent()).length < 6000);
    await axe(page, "folded question");
    await whole.click();
    assert.ok((await page.locator(".bubble").textContent()).length > 200_000);
  },
};
