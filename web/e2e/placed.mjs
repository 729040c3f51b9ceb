// The page where it lives: below a path behind a proxy, in two tabs, with very many conversations, under a method that
// composes characters.

import assert from "node:assert/strict";
import { createServer, request as send } from "node:http";
import { openPage, Server } from "./harness.mjs";
import { answers, ask, brief, composer, done, fresh, imported, row } from "./steps.mjs";

/** A proxy that puts a server below its own address, as nginx does with `proxy_pass`. */
async function proxy(target, prefix) {
  const server = createServer((request, response) => {
    if (!request.url.startsWith(`${prefix}/`)) {
      response.writeHead(404).end("this is the proxy's own page");
      return;
    }
    const onward = send(target + request.url, { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    onward.on("error", () => response.destroy());
    response.on("close", () => onward.destroy());
    request.pipe(onward);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  return { origin: `http://127.0.0.1:${server.address().port}`, end: () => (server.closeAllConnections(), server.close()) };
}

export const placed = {
  async "below a path behind a proxy everything works, and nothing is asked outside the path"({ browser, upstream }) {
    Object.assign(upstream, { text: "It works, with $x^2$ and\n\n```python\nx = 1\n```", rate: 200, breaks: false });
    const server = new Server({ base: "/candor", config: upstream.config });
    let front;
    try {
      await server.start();
      front = await proxy(`http://127.0.0.1:${server.port}`, "/candor");
      const page = await openPage(browser, { url: `${front.origin}/candor/` });
      await page.goto(`${front.origin}/candor/`);
      await server.api("PUT", "settings/defaults", { model: "pretender" });
      await page.reload();
      await composer(page).waitFor();
      await ask(page, "Does it work?");
      await done(page);
      await page.locator(".code code span[style]").first().waitFor();
      assert.match(page.url(), /\/candor\/c\/[\w-]+$/);
      await page.reload();
      await answers(page).first().waitFor();
      await page.getByRole("button", { name: "New conversation" }).click();
      assert.equal(new URL(page.url()).pathname, "/candor/");
      await page.goBack();
      await answers(page).first().waitFor();
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    } finally {
      front?.end();
      await server.end();
    }
  },

  async "two tabs show the same conversation"(context) {
    const { server, upstream, open } = context;
    Object.assign(upstream, { text: "One answer for both. ".repeat(30), rate: 100, breaks: false });
    const { page: first, id } = await fresh(context, "Two tabs", { model: "pretender" });
    const second = await first.context().newPage();
    await second.goto(`${server.url}c/${id}`);
    await composer(second).waitFor();
    await ask(first, "Say it to both.");
    await second.locator("article.answer[aria-busy=true]").waitFor();
    await done(second);
    assert.equal(await answers(second).locator(".prose").innerText(), await answers(first).locator(".prose").innerText());
    await server.api("GET", `conversations/${id}`);
    await first.locator("article.answer").getByRole("button", { name: "Good answer" }).click();
    await first.keyboard.press("Escape");
    await second.locator("button[aria-label='Good answer'][aria-pressed=true]").waitFor();
    assert.ok(open);
  },

  async "more conversations stream than a browser has connections, and the page still answers"(context) {
    const { server, upstream } = context;
    Object.assign(upstream, { text: "slow ".repeat(400), rate: 20, breaks: false });
    const { page } = await fresh(context, "Many at once", { model: "pretender" });
    for (let n = 0; n < 8; n++) {
      await page.getByRole("button", { name: "New conversation" }).click();
      const { id } = await server.api("POST", "conversations", { title: `Running ${n}`, model: "pretender" });
      await page.goto(`${server.url}c/${id}`);
      await ask(page, `Number ${n}`);
      await page.locator("article.answer[aria-busy=true]").waitFor();
    }
    for (let n = 0; n < 8; n++) {
      await row(page, `Running ${n}`).getByRole("link").click();
      await page.locator(".bubble", { hasText: `Number ${n}` }).waitFor();
      await page.locator("article.answer[aria-busy=true]").waitFor();
    }
    await page.getByRole("button", { name: "Stop", exact: true }).click();
    await done(page);
    for (const { id, title } of await server.api("GET", "conversations")) if (title.startsWith("Running")) await server.api("POST", `conversations/${id}/stop`, {});
  },

  async "a thousand conversations are all there, and the list stays quick"({ browser, upstream }) {
    const server = new Server({ config: upstream.config });
    try {
      await server.start();
      for (let n = 0; n < 1000; n += 10) {
        await Promise.all(Array.from({ length: 10 }, (_, k) => server.api("POST", "conversations", { title: `Conversation ${n + k}`, model: "pretender" })));
      }
      const page = await openPage(browser, server);
      const start = Date.now();
      await page.goto(server.url);
      await row(page, "Conversation 99").waitFor();
      console.log(`      first list after ${Date.now() - start} ms`);
      assert.ok((await page.locator(".sidebar .row").count()) <= 200, "the list begins with a page of it");
      const list = page.locator(".conversations");
      for (let n = 0; n < 40 && (await page.locator(".sidebar .row").count()) < 1000; n++) {
        await list.evaluate((box) => box.scrollTo(0, box.scrollHeight));
        await page.waitForTimeout(150);
      }
      assert.equal(await page.locator(".sidebar .row").count(), 1000);
      const typed = Date.now();
      await page.getByRole("textbox", { name: "Search conversations" }).pressSequentially("Conversation 512");
      await page.waitForFunction(() => document.querySelector(".sidebar .row")?.textContent.includes("512"));
      console.log(`      found after ${Date.now() - typed} ms`);
      assert.deepEqual(page.complaints, []);
      await page.context().close();
    } finally {
      await server.end();
    }
  },

  async "Enter that chooses a composed character does not send"(context) {
    const { page, id } = await fresh(context, "Composing");
    await composer(page).focus();
    const browser = await page.context().newCDPSession(page);
    await browser.send("Input.imeSetComposition", { text: "nihao", selectionStart: 5, selectionEnd: 5 });
    await page.evaluate(() => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true })));
    await browser.send("Input.insertText", { text: "你好" });
    assert.equal(await composer(page).inputValue(), "你好");
    assert.equal((await context.server.api("GET", `conversations/${id}`)).messages.length, 0);
  },

  async "what was typed and not sent is there after a reload, for each conversation its own"(context) {
    const { page } = await fresh(context, "Drafts", brief);
    await composer(page).fill("half a thought");
    await page.getByRole("button", { name: "New conversation" }).click();
    assert.equal(await composer(page).inputValue(), "");
    await row(page, "Drafts").getByRole("link").click();
    await page.waitForFunction(() => document.getElementById("composer")?.value === "half a thought");
    await page.reload();
    await page.waitForFunction(() => document.getElementById("composer")?.value === "half a thought");
  },

  async "a browser that keeps nothing can still be used"(context) {
    const { server, upstream, open } = context;
    Object.assign(upstream, { text: "Fine.", rate: 200, breaks: false });
    const made = await server.api("POST", "conversations", { title: "No storage", model: "pretender" });
    const page = await open();
    await page.addInitScript(() => {
      for (const name of ["localStorage", "sessionStorage"]) Object.defineProperty(window, name, { get: () => { throw new DOMException("denied", "SecurityError"); } });
    });
    await page.goto(`${server.url}c/${made.id}`);
    await ask(page, "Do you work?");
    await done(page);
    await answers(page).getByText("Fine.").waitFor();
  },

  async "an address without a conversation says so and leads on"({ server, open, axe }) {
    const page = await open();
    await page.goto(`${server.url}c/nothing-here`);
    await page.getByText("This conversation is not there. It may have been deleted.").waitFor();
    await axe(page, "missing conversation");
    await page.getByRole("alert").getByRole("button", { name: "New conversation" }).click();
    await page.getByRole("heading", { name: "What is on your mind?" }).waitFor();
  },

  async "an error while a dialog is open is shown above it"({ server, open, axe }) {
    const made = await imported(server, "Erring", [["user", "a"], ["assistant", "b"]]);
    const page = await open();
    await page.goto(`${server.url}c/${made.id}`);
    await page.route("**/feedback", (route) => (route.request().method() === "PUT" && route.request().postData().includes("no such luck") ? route.fulfill({ status: 507, contentType: "application/json", body: JSON.stringify({ error: { message: "The disk is full; make room and try again." } }) }) : route.continue()));
    await page.getByRole("button", { name: "Bad answer" }).click();
    await page.getByRole("textbox", { name: /own words/ }).fill("no such luck");
    await page.getByRole("button", { name: "Save reason" }).click();
    await page.getByRole("dialog").getByRole("alert").filter({ hasText: "The disk is full" }).waitFor();
    await axe(page, "notice in a dialog");
    await page.getByRole("dialog").getByRole("alert").getByRole("button", { name: "Close" }).click();
    await page.getByRole("dialog").getByRole("alert").waitFor({ state: "detached" });
    await page.getByRole("dialog").getByRole("textbox").waitFor();
  },
};
