// A block of code: its language, a button that copies it, and colours, which follow a little behind while it grows.

import { Fragment, memo, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { useCopy } from "../ui/clipboard";
import { CheckIcon, CopyIcon } from "../ui/icons";
import type { Piece } from "./highlight";

/** Characters that turn the order of the text around: what is read is then not what is run (CVE-2021-42574). */
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;

export const CodeBlock = memo(function CodeBlock({ code: written, language }: { code: string; language: string }) {
  const { t } = useTranslation();
  const code = written.replace(TURNING, "");
  const coloured = useColours(code, language.toLowerCase());
  const [copied, copy] = useCopy();

  return (
    <figure className="code" dir="ltr">
      <figcaption>
        <span>{language || t("code.plain")}</span>
        <button type="button" className="quiet" onClick={() => copy(code)} aria-label={copied ? t("code.copied") : t("code.copy")}>
          {copied ? <CheckIcon /> : <CopyIcon />}
          <span>{copied ? t("code.copied") : t("code.copy")}</span>
        </button>
      </figcaption>
      <pre role="group" aria-label={t("code.label", { language: language || t("code.plain") })}>
        <code>
          {coloured?.lines.map((line, n) => (
            <Fragment key={n}>
              {n > 0 && "\n"}
              <Line pieces={line} />
            </Fragment>
          ))}
          {coloured ? code.slice(coloured.code.length) : code}
        </code>
      </pre>
      {code.length < written.length && <p className="warning">{t("code.turning")}</p>}
    </figure>
  );
});

interface Coloured {
  code: string;
  lines: Piece[][];
}

/** Colours of as much of the code as was coloured so far. The more it costs, the more rarely it is done. */
function useColours(code: string, language: string): Coloured | null {
  const [done, setDone] = useState<{ code: string; language: string; lines: Piece[][] | null } | null>(null);
  const newest = useRef({ code, language });
  newest.current = { code, language };
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const pause = useRef(60);
  useEffect(() => {
    if (timer.current !== undefined || (done?.code === code && done.language === language)) return;
    timer.current = setTimeout(async () => {
      const wanted = newest.current;
      const { highlight } = await import("./highlight");
      const start = performance.now();
      const lines = await highlight(wanted.code, wanted.language).catch(() => null);
      pause.current = Math.min(2000, Math.max(120, 10 * (performance.now() - start)));
      timer.current = undefined;
      setDone({ ...wanted, lines });
    }, pause.current);
  }, [code, language, done]);
  useEffect(
    () => () => {
      clearTimeout(timer.current);
      timer.current = undefined;
    },
    [],
  );
  if (!done?.lines || done.language !== language || !code.startsWith(done.code)) return null;
  return { code: done.code, lines: done.lines };
}

const Line = memo(function Line({ pieces }: { pieces: Piece[] }) {
  return pieces.map((piece, n) => (
    <span key={n} style={{ color: piece.color }}>
      {piece.text}
    </span>
  ));
});
