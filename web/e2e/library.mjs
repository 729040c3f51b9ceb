// Documents for checks and pictures, written by us: a PDF of two pages, minutes, two web pages that disagree, one in Chinese.
// And what it takes to put them into a server.

import assert from "node:assert/strict";

/** A plain PDF: one string of text per line, the first of each page as a heading. */
export function pdf(title, pages) {
  const escaped = (text) => text.replace(/[\\()]/g, "\\$&");
  const objects = [];
  const put = (text) => objects.push(text);
  const numbers = pages.map((_, n) => `${4 + 2 * n} 0 R`).join(" ");
  put("<< /Type /Catalog /Pages 2 0 R >>");
  put(`<< /Type /Pages /Kids [${numbers}] /Count ${pages.length} >>`);
  put("<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding /WinAnsiEncoding >>");
  for (const [n, lines] of pages.entries()) {
    const text = lines.map((line, at) => `${at === 0 ? "/F1 20 Tf 0 -24" : "/F1 12.5 Tf 0 -19"} Td (${escaped(line)}) Tj`).join("\n");
    const stream = `BT 78 780 Td\n${text}\nET`;
    put(`<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents ${5 + 2 * n} 0 R >>`);
    put(`<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`);
  }
  put(`<< /Title (${escaped(title)}) /CreationDate (D:20240318090000Z) >>`);
  return file(objects);
}

/** A PDF of Chinese text in a font that it names and does not hold, as older programs write it. */
export function chinesePdf(title, lines) {
  const hex = (text) => Array.from({ length: text.length }, (_, n) => text.charCodeAt(n).toString(16).padStart(4, "0")).join("");
  const stream = `BT /F1 14 Tf 78 780 Td\n${lines.map((line) => `0 -24 Td <${hex(line)}> Tj`).join("\n")}\nET`;
  return file([
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
    "<< /Type /Font /Subtype /Type0 /BaseFont /STSong-Light /Encoding /UniGB-UCS2-H /DescendantFonts [6 0 R] >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> >> /Contents 5 0 R >>",
    `<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`,
    "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /STSong-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 4 >> /DW 1000 /FontDescriptor 7 0 R >>",
    "<< /Type /FontDescriptor /FontName /STSong-Light /Flags 6 /FontBBox [-25 -254 1000 880] /ItalicAngle 0 /Ascent 880 /Descent -120 /CapHeight 880 /StemV 93 >>",
    `<< /Title <feff${hex(title)}> >>`,
  ]);
}

/** A PDF with a picture in JPEG 2000 (hexadecimal), and a line of text. */
export function jpeg2000Pdf(picture, line) {
  const stream = `q 300 0 0 300 78 300 cm /P Do Q BT /F1 14 Tf 78 780 Td (${line}) Tj ET`;
  return file([
    "<< /Type /Catalog /Pages 2 0 R >>",
    "<< /Type /Pages /Kids [4 0 R] /Count 1 >>",
    "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Resources << /Font << /F1 3 0 R >> /XObject << /P 6 0 R >> >> /Contents 5 0 R >>",
    `<< /Length ${stream.length} >>\nstream\n${stream}\nendstream`,
    `<< /Type /XObject /Subtype /Image /Width 64 /Height 64 /BitsPerComponent 8 /ColorSpace /DeviceRGB /Filter [/ASCIIHexDecode /JPXDecode] /Length ${picture.length + 1} >>\nstream\n${picture}>\nendstream`,
    "<< /Title (A picture) >>",
  ]);
}

/** The objects as a file; the first is the catalog, the last what is said of the document. */
function file(objects) {
  let file = "%PDF-1.4\n";
  const places = objects.map((object, n) => {
    const at = file.length;
    file += `${n + 1} 0 obj\n${object}\nendobj\n`;
    return at;
  });
  const table = places.map((at) => `${String(at).padStart(10, "0")} 00000 n \n`).join("");
  return `${file}xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer\n<< /Size ${objects.length + 1} /Root 1 0 R /Info ${objects.length} 0 R >>\nstartxref\n${file.length}\n%%EOF\n`;
}

const web = (title, date, text) => `<!doctype html><html lang="en"><head><title>${title}</title><meta name="date" content="${date}"></head><body><h1>${title}</h1><p>${text}</p></body></html>`;

export const library = [
  {
    name: "market-stalls.pdf",
    type: "application/pdf",
    text: pdf("Market stalls: a guide", [
      [
        "Market stalls: a guide",
        "",
        "The market is held on the square in front of the town hall, every Saturday from",
        "seven in the morning until two in the afternoon. In December it is held on",
        "Wednesdays as well.",
        "",
        "Whoever wants to sell something needs a stall and a permit. Stalls are three",
        "metres long; the town lends them for nothing. Food stalls need running water.",
        "",
        "Music is welcome until noon.",
      ],
      [
        "Permits and fees",
        "",
        "A stall permit is valid for ninety days from the day it was issued, and can be",
        "renewed twice. After that a new application is needed.",
        "",
        "The fee is 24 euros for a quarter. Schools, clubs and people who sell what they",
        "have grown in their own garden pay half of it. The fee is returned where a",
        "market day is cancelled by the town.",
        "",
        "Applications go to the market office, room 12, or by post. An answer comes",
        "within two weeks.",
      ],
    ]),
  },
  {
    name: "council-2024-03-12.md",
    text: `# Council, minutes of 12 March 2024

Present: eleven of thirteen members. The chair is Irene Vogt.

## School kitchen

The council spends 310,000 euros on a new kitchen for the primary school. Building begins in July and ends before the autumn holidays. During that time lunch is cooked in the parish hall.

## Swimming pool

The outdoor pool opens on 11 May. A season ticket costs 48 euros, as last year. The council refuses a motion to open the pool on winter weekends, by seven votes to four.
`,
  },
  { name: "bridge-1990.html", text: web("The stone bridge", "1990-06-14", "The stone bridge over the Lenne was finished in 1821. It has four arches, and a chapel stands on the second pier.") },
  { name: "bridge-2019.html", text: web("Bridges of the valley", "2019-09-02", "The stone bridge over the Lenne was finished in 1826. Its arches were strengthened in 1958.") },
  { name: "集市摊位指南.txt", text: "集市摊位指南\n\n集市每周六上午七点到下午两点在市政厅前的广场举行。摊位许可证自签发之日起九十天内有效，可以续期两次。费用为每季度二十四欧元，学校和社团减半。\n\n申请请交到集市办公室十二号房间，两周内答复。\n" },
];

/** What there is of sources and collections goes away, so that no check finds another's. */
export async function clear(server) {
  for (const { id } of (await server.api("GET", "sources")).sources) await fetch(`${server.url}v1/files/${id}`, { method: "DELETE" });
  const { data } = await (await fetch(`${server.url}v1/vector_stores?limit=100`)).json();
  for (const { id } of data) await fetch(`${server.url}v1/vector_stores/${id}`, { method: "DELETE" });
}

/** Waits until all that was uploaded can be asked. */
export async function read(server, count) {
  for (let n = 0; n < 300; n++) {
    const { total, reading } = await server.api("GET", "sources");
    if (total >= count && reading === 0) return;
    await new Promise((later) => setTimeout(later, 200));
  }
  throw new Error("the sources were not read in a minute");
}

export async function add(server, ...files) {
  for (const { name, text } of files) {
    const form = new FormData();
    form.append("purpose", "assistants");
    form.append("file", new Blob([text]), name);
    const response = await fetch(`${server.url}v1/files`, { method: "POST", body: form });
    assert.ok(response.ok, await response.text());
  }
  await read(server, files.length);
}

/** Drops files on the page, as a person does from a file manager. */
export async function drop(page, ...files) {
  const data = await page.evaluateHandle((files) => {
    const data = new DataTransfer();
    for (const { name, text, type } of files) data.items.add(new File([text], name, { type: type ?? "text/plain" }));
    return data;
  }, files);
  await page.dispatchEvent("#composer", "dragenter", { dataTransfer: data });
  await page.dispatchEvent("#composer", "drop", { dataTransfer: data });
}
