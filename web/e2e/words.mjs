// Whose words an answer holds: a source's, also after it changed, or a model's that its quotes bear out.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lighthouse } from "./grounded.mjs";
import { add, clear } from "./library.mjs";
import { answers, ask, brief, done, fresh } from "./steps.mjs";

const question = "When was the lighthouse of Skerry Point built?";
const mark = (page, word) => page.locator("button.mark-button", { hasText: word }).first();
const panel = (page) => page.getByRole("complementary", { name: "Passage" });
const dial = (page, more = "") => page.getByRole("button", { name: `How many answers may be wrong, now 10%${more}`, exact: true });
const own = "; in the model’s own words";

export const words = {
  async "an answer is put into the model's own words where that is switched on, in this conversation alone"(context) {
    const { server } = context;
    await clear(server);
    await server.api("PUT", "settings/defaults", brief);
    await add(server, lighthouse);
    const { page, id } = await fresh(context, "Phrasing", { ...brief, sources: "all" });
    await ask(page, question);
    await done(page);
    await dial(page).click();
    const choice = page.getByRole("menuitemcheckbox", { name: "In the model’s own words" });
    assert.equal(await choice.getAttribute("aria-checked"), "false");
    await choice.click();
    await page.getByText("a sentence that its quote does not bear out is replaced").waitFor();
    await context.axe(page, "own words", { without: ["region"] });
    await page.keyboard.press("Escape");
    await page.reload();
    await dial(page, own).waitFor();
    await ask(page, question);
    await done(page, 1);
    const { conversation, messages } = await server.api("GET", `conversations/${id}`);
    assert.equal(conversation.phrase, true);
    const [first, second] = [messages[1], messages[3]];
    assert.deepEqual([first.model, first.sampling], [null, null]);
    assert.match(second.model, /smollm2/i);
    assert.ok(second.candor.sentences.length > 0 && second.candor.sentences.every(({ mark, citations }) => /^(supported|quoted)$/.test(mark) && citations.length > 0));
    const last = answers(page).last();
    assert.match(await last.locator(".figures").innerText(), /smollm2/i);
    await last.locator("button.mark-button").first().click();
    await panel(page).locator("mark").waitFor();
    assert.match(await panel(page).locator("mark").innerText(), /built in 1874/);
    await panel(page).getByRole("button", { name: "Close" }).click();
    await page.getByRole("button", { name: "New conversation" }).first().click();
    await page.waitForFunction(() => !location.pathname.includes("/c/"));
    // A new one asks the sources that are there, without that choice; without sources there is nothing to put into words.
    await dial(page).click();
    assert.equal(await choice.getAttribute("aria-checked"), "false");
    await page.keyboard.press("Escape");
    await page.getByRole("button", { name: "Sources to answer from, now: All sources" }).click();
    await page.getByRole("menuitemradio", { name: /^No sources/ }).click();
    await page.getByRole("button", { name: "Sources to answer from, now: No sources" }).waitFor();
    await dial(page).click();
    assert.equal(await choice.count(), 0);
  },

  async "a sentence of the model's that its quote bears out has a mark of its own, and is copied without quotation marks"(context) {
    const { server } = context;
    await clear(server);
    await add(server, lighthouse);
    const { sources } = await server.api("GET", "sources");
    const quote = "The tower is 31 metres high and made of granite from the island.";
    const text = await (await fetch(`${server.url}v1/files/${sources[0].id}/text`)).text();
    const at = Buffer.byteLength(text.slice(0, text.indexOf(quote)));
    const citation = { file_id: sources[0].id, filename: "Skerry Point Light", start: at, end: at + quote.length, quote };
    const said = "Its tower is 31 metres high.";
    const candor = { outcome: "answered", short: null, confidence: 0.8, dial: 0.1, receipt: null, sentences: [{ text: said, start: 0, end: said.length, mark: "supported", confidence: 0.8, citations: [citation] }] };
    const made = await server.api("POST", "import", { format: "candor.conversation/1", title: "Supported", messages: [{ id: "1", role: "user", content: "How high?" }, { id: "2", parent: "1", role: "assistant", content: said, candor }] });
    const page = await context.open({ permissions: ["clipboard-read", "clipboard-write"] });
    await page.goto(`${server.url}c/${made.id}`);
    await mark(page, "Supported").waitFor();
    await context.axe(page, "supported sentence");
    await answers(page).last().getByRole("button", { name: "Copy" }).click();
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), `${said} (Skerry Point Light)`);
    await mark(page, "Supported").click();
    await panel(page).getByText("The words are the model’s; the passage bears them out.").waitFor();
    assert.equal(await panel(page).locator("mark").innerText(), quote);
  },

  async "a quote whose source changed leads to where its words stand now, and loses its mark where they do not any more"(context) {
    const { server } = context;
    if (!server.serveArguments || process.env.CANDOR_E2E_FAKE === "1") return;
    await clear(server);
    const folder = join(server.folder, "shelf");
    mkdirSync(folder, { recursive: true });
    const say = (text) => {
      writeFileSync(join(folder, lighthouse.name), text);
      execFileSync(server.process.spawnfile, ["sources", "add", folder], { env: { ...process.env, CANDOR_DATA_DIR: server.folder }, stdio: "pipe" });
    };
    say(lighthouse.text);
    const { page, id } = await fresh(context, "Changing", { ...brief, sources: "all" });
    await ask(page, question);
    await done(page);
    const quote = await page.locator(".quoted blockquote").first().innerText();
    say(lighthouse.text.replace("## History", "## News\n\nThe lamp was changed for a brighter one last week.\n\n## History"));
    await page.reload();
    await mark(page, "Quoted").click();
    await panel(page).getByText("The source has changed since this was answered").waitFor();
    assert.equal(await panel(page).locator("mark").innerText(), quote);
    assert.match(await panel(page).locator(".source-text").innerText(), /brighter one/);
    await context.axe(page, "passage that moved");
    const standing = async () => {
      const { messages } = await server.api("GET", `conversations/${id}`);
      return (await server.api("GET", `receipts/${messages[1].candor.receipt}/standing`)).state;
    };
    assert.equal(await standing(), "same");
    say(lighthouse.text.replace("1874", "1878"));
    await page.reload();
    await mark(page, "Not in its source now").waitFor();
    assert.equal(await page.locator(".short").count(), 0);
    assert.equal(await standing(), "changed");
  },
};
