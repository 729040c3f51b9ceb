// An answer's Markdown. The text is split into blocks; a block that did not change does not render again.

import { isValidElement, memo, type MouseEvent, type ReactNode, useId, useMemo, useRef } from "react";
import { useTranslation } from "react-i18next";
import ReactMarkdown, { type Components } from "react-markdown";
import rehypeSanitize from "rehype-sanitize";
import remarkGfm from "remark-gfm";
import { Boundary } from "../ui/Boundary";
import { dollarMath, splitBlocks } from "./blocks";
import { CodeBlock } from "./CodeBlock";
import { schema } from "./schema";
import { useScrollables } from "./scrollable";
import { useMath } from "./useMath";
import { type Setting, settings } from "./weight";

type Plugins = NonNullable<Parameters<typeof ReactMarkdown>[0]["rehypePlugins"]>;

// Sanitized last: nothing that a plug-in makes goes around it.
const plain: { remark: Plugins; rehype: Plugins } = { remark: [remarkGfm], rehype: [[rehypeSanitize, schema]] };
const withMath = ({ remarkMath, rehypeFormulas }: typeof import("./math")): typeof plain => ({
  remark: [...plain.remark, remarkMath],
  rehype: [rehypeFormulas, ...plain.rehype],
});

const components: Components = {
  // An image from elsewhere would tell its server that the answer is being read, and carry data out in its address.
  img: ({ alt, src }) => <RemoteImage alt={alt ?? ""} src={typeof src === "string" ? src : ""} />,
  a: ({ href, children, ...rest }) => {
    if (!href) return <span>{children}</span>;
    if (href.startsWith("#")) {
      return (
        <a href={href} id={rest.id} aria-label={rest["aria-label"]} onClick={within}>
          {children}
        </a>
      );
    }
    return (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    );
  },
  table: ({ children }) => <Table>{children}</Table>,
  input: ({ checked }) => <Tick checked={checked === true} />,
  pre: ({ children }) => <Pre>{children}</Pre>,
};

/** A footnote and back. The page's own address is the conversation's, so a jump is made here. */
function within(event: MouseEvent<HTMLAnchorElement>): void {
  event.preventDefault();
  const name = schema.clobberPrefix + (event.currentTarget.getAttribute("href") ?? "").slice(1);
  const place = [...(event.currentTarget.closest(".prose")?.querySelectorAll<HTMLElement>("[id]") ?? [])].find((one) => one.id === name);
  place?.scrollIntoView({ block: "nearest" });
  const link = place?.matches("a") ? place : place?.querySelector<HTMLElement>("a");
  link?.focus({ preventScroll: true });
}

function Table({ children }: { children?: ReactNode }) {
  const { t } = useTranslation();
  return (
    <div className="table" role="group" aria-label={t("table")}>
      <table>{children}</table>
    </div>
  );
}

function Tick({ checked }: { checked: boolean }) {
  const { t } = useTranslation();
  return <input type="checkbox" checked={checked} disabled readOnly aria-label={t(checked ? "ticked" : "unticked")} />;
}

function Pre({ children }: { children?: ReactNode }) {
  const code = Array.isArray(children) ? children[0] : children;
  if (!isValidElement<{ className?: string; children?: ReactNode }>(code)) return <pre>{children}</pre>;
  const language = /language-([\w+#.-]+)/.exec(code.props.className ?? "")?.[1] ?? "";
  return <CodeBlock code={textOf(code.props.children).replace(/\n$/, "")} language={language} />;
}

function textOf(node: ReactNode): string {
  if (typeof node === "string" || typeof node === "number") return String(node);
  if (Array.isArray(node)) return node.map(textOf).join("");
  return "";
}

function RemoteImage({ alt, src }: { alt: string; src: string }) {
  const { t } = useTranslation();
  return (
    <span className="image">
      {t("image", { alt: alt || t("imageWithoutText") })}
      {src && <code>{src}</code>}
    </span>
  );
}

/** The sanitizer would empty an image's address; it is kept, as text. */
const keepAddress = (url: string, key: string): string => (key === "src" || /^(https?|mailto):/i.test(url) || url.startsWith("#") ? url : "");

const Block = memo(function Block({ text, setting, id }: { text: string; setting: Setting; id: string }) {
  const { t } = useTranslation();
  const wanted = setting === "full" && text.includes("$");
  const math = useMath(wanted);
  const plugins = useMemo(() => (wanted && math ? withMath(math) : plain), [wanted, math]);
  if (setting === "plain") return <Plain text={text} />;
  return (
    <Boundary of={text} fallback={<Plain text={text} />}>
      <ReactMarkdown
        remarkPlugins={plugins.remark}
        rehypePlugins={plugins.rehype}
        components={components}
        urlTransform={keepAddress}
        remarkRehypeOptions={{
          clobberPrefix: id,
          footnoteLabel: t("footnotes"),
          footnoteBackLabel: (n: number) => t("footnoteBack", { n: n + 1 }),
        }}
      >
        {text}
      </ReactMarkdown>
    </Boundary>
  );
});

function Plain({ text }: { text: string }) {
  const { t } = useTranslation();
  return (
    <div className="plain">
      <p className="note">{t("tooHeavy")}</p>
      <p>{text}</p>
    </div>
  );
}

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => splitBlocks(dollarMath(text)), [text]);
  const set = useMemo(() => settings(blocks), [blocks]);
  const id = `${useId()}-`;
  const box = useRef<HTMLDivElement>(null);
  useScrollables(box);
  return (
    <div className="prose" dir="auto" ref={box}>
      {blocks.map((block, n) => (
        <Block key={n} text={block} setting={set[n] ?? "plain"} id={`${id}${n}-`} />
      ))}
    </div>
  );
});
