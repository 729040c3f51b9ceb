// Pages of PDFs as pictures: drawn by pdf.js in the browser, from the file's own bytes, with the passage highlighted.

import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { add, chinesePdf, clear, jpeg2000Pdf, library } from "./library.mjs";
import { ask, brief, done, fresh } from "./steps.mjs";

/** Real documents, where they are at hand. */
const documents = resolve(dirname(fileURLToPath(import.meta.url)), "../../../shared/data/documents");
const guide = library.find(({ name }) => name === "market-stalls.pdf");

/** 64 by 64 pixels from red and blue to black, by opj_compress -r 20. */
const gradient =
  "0000000c6a5020200d0a870a00000014667479706a703220000000006a7032200000002d6a703268000000166968647200000040000000400003070700000000000f636f6c7201000000000010000001516a703263ff4fff5100" +
  "2f000000000040000000400000000000000000000000400000004000000000000000000003070101070101070101ff52000c00000001010504040001ff5c00134040484850484850484850484850484850ff6400250001437265" +
  "61746564206279204f70656e4a5045472076657273696f6e20322e352e30ff90000a0000000000ca0001ff93cfb01408de56f15fdf60280397119e1fdf78200d02063fc1f30483e6060d01ff7f0c17c7a3e9080c17c67fc7d20c" +
  "0d0205c0f80481f008221a085f00cfd55fa1f4850000cfd5523fc3e60a00221a085d8fc070901f008036a19abf3e62a2afa0f983803e62a2ad886e2bc1f3070036a199ae63a35fc03848070a5fa7c7879d96a8ff7fa07c62409d" +
  "96a90100c318060fc0f8c4005fa7c788a00db07fc0124012008b6201bfe18c0aa3a03e0180e18c0aa37fd7c07c02808b6201aba8ffd9";

const panel = (page) => page.getByRole("complementary", { name: "Passage" });
const picture = (page) => panel(page).getByRole("img", { name: /as a picture, with the passage highlighted/ });

/** Of the canvas: how large it is, how much of it is not white, and how much of what lies under the highlights is inked. */
export const inked = (page) =>
  page.locator(".sheet canvas").evaluate((canvas) => {
    const pen = canvas.getContext("2d");
    const share = (left, top, width, height, test) => {
      const { data } = pen.getImageData(Math.floor(left), Math.floor(top), Math.max(1, Math.floor(width)), Math.max(1, Math.floor(height)));
      let count = 0;
      for (let n = 0; n < data.length; n += 4) if (test(data[n] + data[n + 1] + data[n + 2])) count++;
      return count / (data.length / 4);
    };
    const outer = canvas.getBoundingClientRect();
    const [across, down] = [canvas.width / outer.width, canvas.height / outer.height];
    const marks = [...document.querySelectorAll(".sheet mark")].map((mark) => {
      const { left, top, width, height } = mark.getBoundingClientRect();
      return share((left - outer.left) * across, (top - outer.top) * down, width * across, height * down, (sum) => sum < 600);
    });
    return { width: canvas.width, height: canvas.height, shown: outer.width, ink: share(0, 0, canvas.width, canvas.height, (sum) => sum < 720), marks };
  });

/** Opens the passage of a quote that we choose in a document: an answer that cites it is imported. */
export async function cite(server, page, name, bytes, sentence) {
  await add(server, { name, text: bytes });
  const { sources } = await server.api("GET", "sources");
  const { id, state, error } = sources.find((one) => one.name === name);
  assert.equal(state, "ready", error);
  const text = await (await fetch(`${server.url}v1/files/${id}/text`)).text();
  const at = typeof sentence === "string" ? text.indexOf(sentence) : text.search(sentence);
  assert.ok(at >= 0, `${name} has the passage`);
  const quote = typeof sentence === "string" ? sentence : text.slice(at).match(sentence)[0];
  const start = Buffer.byteLength(text.slice(0, at));
  const citation = { file_id: id, filename: name, start, end: start + Buffer.byteLength(quote), quote, page: 1 };
  const candor = { outcome: "answered", short: null, confidence: 0.9, dial: 0.1, receipt: null, sentences: [{ text: quote, start: 0, end: quote.length, mark: "quoted", confidence: 0.9, citations: [citation] }] };
  const made = await server.api("POST", "import", { format: "candor.conversation/1", title: name, messages: [{ id: "1", role: "user", content: "?" }, { id: "2", parent: "1", role: "assistant", content: quote, candor }] });
  await page.goto(`${server.url}c/${made.id}`);
  await page.locator("button.mark-button").first().click();
  return quote;
}

export const pages = {
  async "a quote from a PDF opens the picture of its page, highlighted, and its text beside that"(context) {
    const { server } = context;
    await clear(server);
    await add(server, guide);
    const { page } = await fresh(context, "Picture of a page", { ...brief, sources: "all" });
    const scripts = [];
    page.on("request", (request) => scripts.push(new URL(request.url()).pathname));
    await ask(page, "How long is a stall permit valid?");
    await done(page);
    assert.ok(!scripts.some((path) => /pdf|PagePicture/.test(path)), "nothing that draws PDFs is loaded before a page is drawn");
    const quote = await page.locator(".quoted blockquote").first().innerText();
    await page.locator("button.mark-button", { hasText: "Quoted" }).first().click();
    await picture(page).waitFor();
    await panel(page).getByText("page 2 of 2").last().waitFor();
    const first = await inked(page);
    assert.ok(first.ink > 0.005, `the canvas is drawn on: ${first.ink}`);
    assert.ok(first.marks.length > 0 && first.marks.every((dark) => dark > 0.02), `each highlight lies on words: ${first.marks}`);
    assert.ok(await page.locator(".sheet mark").first().evaluate((mark) => {
      const [box, own] = [mark.closest(".evidence-text").getBoundingClientRect(), mark.getBoundingClientRect()];
      return own.top >= box.top && own.bottom <= box.bottom;
    }), "the highlighted words are in view");
    await context.axe(page, "picture of a page");
    // Another page has no highlight; back on its own the passage has one.
    await panel(page).getByRole("button", { name: "Previous page" }).click();
    await panel(page).getByRole("img", { name: "Page 1 of Market stalls: a guide, as a picture", exact: true }).waitFor();
    assert.equal(await page.locator(".sheet mark").count(), 0);
    assert.ok(await panel(page).getByRole("button", { name: "Previous page" }).isDisabled());
    await panel(page).getByRole("button", { name: "Next page" }).click();
    await picture(page).waitFor();
    await panel(page).getByRole("button", { name: "Larger" }).click();
    await page.waitForFunction((before) => document.querySelector(".sheet canvas")?.getBoundingClientRect().width > before * 1.4, first.shown);
    assert.ok((await inked(page)).width > first.width);
    // The text is one press away, and this browser remembers it.
    await panel(page).getByRole("button", { name: "Text" }).click();
    assert.equal(await panel(page).locator("mark").innerText(), await panel(page).locator("mark").evaluate((mark) => mark.innerText));
    assert.equal((await panel(page).locator("mark").innerText()).replace(/\s+/g, " ").trim(), quote.replace(/\s+/g, " ").trim());
    await page.reload();
    await page.locator("button.mark-button", { hasText: "Quoted" }).first().click();
    await panel(page).locator(".source-text mark").waitFor();
    assert.equal(await page.locator(".sheet").count(), 0);
    await panel(page).getByRole("button", { name: "Page", exact: true }).click();
    await picture(page).waitFor();
  },

  async "where the file is not at hand, is locked or damaged a sentence says so, and the text stays"(context) {
    const { server } = context;
    await clear(server);
    const page = await context.open();
    // Whatever the password is, it is not the empty one.
    const keys = `/O <${"00".repeat(32)}> /U <${"00".repeat(32)}>`;
    const locked = guide.text.replace("/Root 1 0 R", `/Root 1 0 R /ID [<00> <00>] /Encrypt << /Filter /Standard /V 1 /R 2 /P -4 ${keys} >>`);
    let answer = () => ({ body: "this is no PDF" });
    await page.route("**/original", (route) => route.fulfill({ status: 200, contentType: "application/pdf", ...answer() }));
    const quote = await cite(server, page, guide.name, guide.text, "The fee is 24 euros for a quarter.");
    const says = async (sentence) => {
      await panel(page).getByText(sentence).waitFor();
      assert.equal(await panel(page).locator(".source-text mark").innerText(), quote);
    };
    const again = async () => {
      await panel(page).getByRole("button", { name: "Close" }).click();
      await page.locator("button.mark-button").first().click();
    };
    await says("because the PDF is damaged");
    await context.axe(page, "picture that cannot be drawn");
    answer = () => ({ body: locked });
    await again();
    await says("because the PDF asks for a password");
    await page.unroute("**/original");
    rmSync(join(server.folder, "uploads"), { recursive: true });
    await again();
    await says("because the file is not at hand any more");
  },

  async "on a phone, in Chinese and in the dark the picture fits its panel"(context) {
    const { server } = context;
    await clear(server);
    const page = await context.open({ viewport: { width: 360, height: 740 }, deviceScaleFactor: 3, hasTouch: true, isMobile: true, locale: "zh-CN", colorScheme: "dark" });
    await cite(server, page, guide.name, guide.text, "The fee is 24 euros for a quarter.");
    await page.getByRole("img", { name: "《Market stalls: a guide》第 2 页的图像，原文已标出" }).waitFor();
    assert.ok((await inked(page)).width > 600, "it is as sharp as the screen");
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth));
    assert.ok(await page.locator(".evidence-text").evaluate((box) => box.scrollWidth <= box.clientWidth));
    await context.axe(page, "picture of a page, phone, Chinese, dark");
  },

  async "Chinese text in a font that the PDF only names is drawn, with the tables that come with the page"(context) {
    const { server } = context;
    await clear(server);
    const page = await context.open();
    const bytes = chinesePdf("摊位指南", ["摊位许可证自签发之日起九十天内有效，可以续期两次。", "费用为每季度二十四欧元。"]);
    await cite(server, page, "摊位.pdf", bytes, "自签发之日起九十天内有效");
    await picture(page).waitFor();
    const { ink, marks } = await inked(page);
    assert.ok(ink > 0.002 && marks.length === 1 && marks[0] > 0.05, `${ink}, ${marks}`);
  },

  async "a picture in JPEG 2000 is drawn without WebAssembly"(context) {
    const { server } = context;
    await clear(server);
    const page = await context.open();
    await cite(server, page, "picture.pdf", jpeg2000Pdf(gradient, "The picture goes from blue to red."), "goes from blue to red");
    await picture(page).waitFor();
    const { ink } = await inked(page);
    assert.ok(ink > 0.15, `the picture takes its part of the page: ${ink}`);
  },

  async "real documents are drawn with their passage: Chinese, columns, damage"(context) {
    if (!existsSync(documents)) return console.log("      (../shared/data/documents is not there, so this was passed over)");
    const { server } = context;
    const passages = {
      "chinese_style_guide.pdf": /[\p{Script=Han}，]{18,40}/u,
      "two_columns.pdf": /[A-Z][a-z]+ [a-z ]{40,80}/,
      "damaged_xref.pdf": "Sparse is better than dense.",
      "bytes_before_header.pdf": /\S+( \S+){1,8}/,
    };
    for (const [name, sentence] of Object.entries(passages)) {
      await clear(server);
      const page = await context.open();
      await cite(server, page, name, readFileSync(join(documents, name)), sentence);
      await picture(page).waitFor();
      const { ink, marks } = await inked(page);
      assert.ok(ink > 0.001 && marks.some((dark) => dark > 0.01), `${name}: ${ink}, ${marks}`);
      assert.deepEqual(page.complaints, [], name);
      await page.context().close();
    }
  },

  async "where a passage is not found on its picture, its words stand below"(context) {
    if (!existsSync(documents)) return console.log("      (../shared/data/documents is not there, so this was passed over)");
    const { server } = context;
    await clear(server);
    const page = await context.open();
    // pdf.js gives this document's Arabic from left to right.
    const quote = await cite(server, page, "arabic.pdf", readFileSync(join(documents, "arabic.pdf")), "\u062d\u064e\u0628\u064a\u0628\u064a");
    await panel(page).getByText("The words were not found on the picture").waitFor();
    assert.equal(await panel(page).locator(".source-text mark").innerText(), quote);
    assert.ok((await inked(page)).ink > 0);
    await context.axe(page, "picture without a highlight");
  },
};
