// An answer's Markdown. The text is split into blocks; a block that did not change does not render again.

import { isValidElement, memo, type ReactNode, useMemo } from "react";
import { useTranslation } from "react-i18next";
import ReactMarkdown, { type Components } from "react-markdown";
import rehypeKatex from "rehype-katex";
import rehypeSanitize from "rehype-sanitize";
import remarkGfm from "remark-gfm";
import remarkMath from "remark-math";
import { dollarMath, splitBlocks } from "./blocks";
import { CodeBlock } from "./CodeBlock";
import { schema } from "./schema";

const remark = [remarkGfm, remarkMath];
// Sanitized last: nothing that a plug-in makes goes around it. KaTeX loads no file and trusts no command.
const rehype: NonNullable<Parameters<typeof ReactMarkdown>[0]["rehypePlugins"]> = [
  [rehypeKatex, { trust: false, strict: "ignore", throwOnError: false, maxSize: 20, maxExpand: 500 }],
  [rehypeSanitize, schema],
];

const components: Components = {
  // An image from elsewhere would tell its server that the answer is being read, and carry data out in its address.
  img: ({ alt, src }) => <RemoteImage alt={alt ?? ""} src={typeof src === "string" ? src : ""} />,
  a: ({ href, children }) =>
    href ? (
      <a href={href} target="_blank" rel="noopener noreferrer nofollow">
        {children}
      </a>
    ) : (
      <span>{children}</span>
    ),
  table: ({ children }) => (
    <div className="table" tabIndex={0} role="group" aria-label="table">
      <table>{children}</table>
    </div>
  ),
  input: ({ checked }) => <input type="checkbox" checked={checked} disabled readOnly aria-label={checked ? "done" : "to do"} />,
  pre: ({ children }) => <Pre>{children}</Pre>,
};

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

const Block = memo(function Block({ text }: { text: string }) {
  return (
    <ReactMarkdown remarkPlugins={remark} rehypePlugins={rehype} components={components} urlTransform={keepAddress}>
      {text}
    </ReactMarkdown>
  );
});

export const Markdown = memo(function Markdown({ text }: { text: string }) {
  const blocks = useMemo(() => splitBlocks(dollarMath(text)), [text]);
  return (
    <div className="prose">
      {blocks.map((block, n) => (
        <Block key={n} text={block} />
      ))}
    </div>
  );
});
