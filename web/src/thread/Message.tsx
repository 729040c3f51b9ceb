// A question or an answer, with what can be done to it.

import { memo, useEffect, useRef, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { editQuestion, regenerate, select } from "../api/hooks";
import type { Feedback, Message } from "../api/types";
import { Markdown } from "../markdown/Markdown";
import { percent } from "../settings/DialMenu";
import { liveAnswers } from "../stream/live";
import { Grounded } from "../truth/Grounded";
import { answerText } from "../truth/shown";
import { useCopy } from "../ui/clipboard";
import { AgainIcon, CheckIcon, CopyIcon, EditIcon, LeftIcon, RightIcon } from "../ui/icons";
import { sends } from "../ui/keys";
import { toastError } from "../ui/toasts";
import { Thumbs } from "./Thumbs";

interface Props {
  message: Message;
  siblings: string[];
  busy: boolean;
}

export const Question = memo(function Question({ message, siblings, busy }: Props) {
  const { t } = useTranslation();
  const [editing, setEditing] = useState(false);
  const pencil = useRef<HTMLButtonElement>(null);
  const close = () => {
    setEditing(false);
    requestAnimationFrame(() => pencil.current?.focus());
  };
  return (
    <article className="question" aria-label={t("you")}>
      {editing ? (
        <Editor message={message} onClose={close} />
      ) : (
        <>
          <Words text={message.content} />
          <div className="actions">
            <Branches message={message} siblings={siblings} busy={busy} />
            <Copy text={message.content} />
            <button ref={pencil} type="button" className="icon" aria-label={t("edit")} title={t("edit")} disabled={busy} onClick={() => setEditing(true)}>
              <EditIcon />
            </button>
          </div>
        </>
      )}
    </article>
  );
});

/** Of a question longer than this, the beginning is shown until the rest is asked for. */
const LONG = 4000;

function Words({ text }: { text: string }) {
  const { t } = useTranslation();
  const [whole, setWhole] = useState(false);
  const long = text.length > LONG * 1.25;
  return (
    <div className="bubble" dir="auto">
      {long && !whole ? `${text.slice(0, LONG)}…` : text}
      {long && (
        <button type="button" className="link" aria-expanded={whole} onClick={() => setWhole(!whole)}>
          {t(whole ? "showLess" : "showAll", { count: text.length })}
        </button>
      )}
    </div>
  );
}

function Editor({ message, onClose }: { message: Message; onClose: () => void }) {
  const { t } = useTranslation();
  const [text, setText] = useState(message.content);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(message.content.length, message.content.length);
  }, [message.content]);
  const send = () => {
    if (!text.trim()) return;
    onClose();
    editQuestion(message.conversation, message.id, text.trim()).catch(toastError);
  };
  return (
    <form
      className="editor"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <textarea
        ref={field}
        dir="auto"
        rows={2}
        value={text}
        aria-label={t("editLabel")}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape" && !event.nativeEvent.isComposing) {
            event.preventDefault();
            event.stopPropagation();
            onClose();
          } else if (sends(event.nativeEvent)) {
            event.preventDefault();
            send();
          }
        }}
      />
      <footer>
        <button type="button" onClick={onClose}>
          {t("cancel")}
        </button>
        <button type="submit" className="primary" disabled={!text.trim()}>
          {t("sendEdited")}
        </button>
      </footer>
    </form>
  );
}

export const Answer = memo(function Answer({ message, siblings, busy, feedback }: Props & { feedback?: Feedback }) {
  const { t } = useTranslation();
  const streaming = message.state === "streaming";
  const came = useRef(streaming);
  const live = useSyncExternalStore(liveAnswers.subscribe, () => {
    const now = streaming ? liveAnswers.get(message.conversation) : undefined;
    return now?.message.id === message.id ? now : undefined;
  });
  const { content: text, candor } = live?.message ?? message;
  const fromSources = streaming && message.sampling === null;
  return (
    <article className="answer" aria-label={message.model ?? "Candor"} aria-busy={streaming} data-fresh={came.current || undefined}>
      {candor ? (
        <Grounded message={message} candor={candor} busy={busy} />
      ) : text ? (
        fromSources ? <p className="source-text">{text}</p> : <Markdown text={text} />
      ) : (
        streaming && <p className="thinking">{t(fromSources ? "lookingUp" : "thinking")}</p>
      )}
      {message.state === "failed" && (
        <p className="failed" role="alert">
          {message.error ?? t("state.failed")}
        </p>
      )}
      <div className="actions">
        {!streaming && (
          <>
            <Branches message={message} siblings={siblings} busy={busy} />
            <Copy text={candor && candor.outcome === "answered" ? answerText(candor, { page: (page) => t("page", { page }) }) : message.content} />
            <button
              type="button"
              className="icon"
              aria-label={t("regenerate")}
              title={t("regenerate")}
              disabled={busy}
              onClick={() => regenerate(message.conversation, message.id).catch(toastError)}
            >
              <AgainIcon />
            </button>
            <Thumbs message={message} feedback={feedback} />
          </>
        )}
        <Figures message={message} rate={live?.rate ?? message.tokens_per_second} />
      </div>
    </article>
  );
});

function Figures({ message, rate }: { message: Message; rate: number | null }) {
  const { t } = useTranslation();
  const parts = [
    message.state === "stopped" && t("state.stopped"),
    message.usage?.finish_reason === "length" && t("state.length"),
    message.model,
    message.candor && t(message.candor.dial === null ? "dial.wasOff" : "dial.was", { dial: percent(message.candor.dial ?? 0) }),
    message.usage?.completion_tokens !== undefined && t("tokens", { count: message.usage.completion_tokens }),
    rate !== null && t("rate", { rate: rate < 10 ? rate.toFixed(1) : Math.round(rate) }),
  ].filter((part): part is string => Boolean(part));
  return <span className="figures">{parts.join(" · ")}</span>;
}

function Branches({ message, siblings, busy }: Props) {
  const { t } = useTranslation();
  if (siblings.length < 2) return null;
  const at = siblings.indexOf(message.id);
  const go = (to: string | undefined) => to && select(message.conversation, to).catch(toastError);
  return (
    <span className="branches" role="group" aria-label={t("branch", { n: at + 1, count: siblings.length })}>
      <button type="button" className="icon" aria-label={t("previousBranch")} disabled={at === 0 || busy} onClick={() => go(siblings[at - 1])}>
        <LeftIcon />
      </button>
      <span aria-hidden="true">
        {at + 1} / {siblings.length}
      </span>
      <button type="button" className="icon" aria-label={t("nextBranch")} disabled={at === siblings.length - 1 || busy} onClick={() => go(siblings[at + 1])}>
        <RightIcon />
      </button>
    </span>
  );
}

function Copy({ text }: { text: string }) {
  const { t } = useTranslation();
  const [copied, copy] = useCopy();
  return (
    <button type="button" className="icon" aria-label={copied ? t("copied") : t("copy")} title={t("copy")} onClick={() => copy(text)}>
      {copied ? <CheckIcon /> : <CopyIcon />}
    </button>
  );
}
