// A block of code: its language, a button that copies it, and colours once it stopped growing.

import { memo, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { CheckIcon, CopyIcon } from "../ui/icons";
import type { Piece } from "./highlight";

export const CodeBlock = memo(function CodeBlock({ code, language }: { code: string; language: string }) {
  const { t } = useTranslation();
  const [coloured, setColoured] = useState<{ code: string; lines: Piece[][] } | null>(null);
  const [copied, setCopied] = useState(false);

  useEffect(() => {
    let current = true;
    const timer = setTimeout(async () => {
      const { highlight } = await import("./highlight");
      const lines = await highlight(code, language.toLowerCase()).catch(() => null);
      if (current && lines) setColoured({ code, lines });
    }, 120);
    return () => {
      current = false;
      clearTimeout(timer);
    };
  }, [code, language]);

  const copy = async () => {
    await copyText(code);
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };

  return (
    <figure className="code">
      <figcaption>
        <span>{language || t("code.plain")}</span>
        <button type="button" className="quiet" onClick={copy} aria-label={copied ? t("code.copied") : t("code.copy")}>
          {copied ? <CheckIcon /> : <CopyIcon />}
          <span>{copied ? t("code.copied") : t("code.copy")}</span>
        </button>
      </figcaption>
      <pre tabIndex={0} aria-label={t("code.label", { language: language || t("code.plain") })}>
        <code>{coloured?.code === code ? coloured.lines.map((line, n) => <Line key={n} pieces={line} />) : code}</code>
      </pre>
    </figure>
  );
});

function Line({ pieces }: { pieces: Piece[] }) {
  return (
    <>
      {pieces.map((piece, n) => (
        <span key={n} style={{ color: piece.color }}>
          {piece.text}
        </span>
      ))}
      {"\n"}
    </>
  );
}

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context there is no clipboard API; a hidden field does it.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "sr-only";
    document.body.append(field);
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}
