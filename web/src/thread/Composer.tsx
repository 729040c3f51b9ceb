// Where a message is written. What is typed survives a reload until it is sent.

import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { stop } from "../api/hooks";
import { SendIcon, StopIcon } from "../ui/icons";
import { sends } from "../ui/keys";
import { recall, remember, thisTab } from "../ui/memory";

interface Props {
  id: string | null;
  running: boolean;
  onSend: (text: string) => Promise<boolean>;
}

export function Composer({ id, running, onSend }: Props) {
  const { t } = useTranslation();
  const draft = `candor-draft-${id ?? "new"}`;
  const [text, setText] = useState(() => recall(draft, thisTab) ?? "");
  const [sending, setSending] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);

  useEffect(() => {
    remember(draft, text ? text.slice(0, 100_000) : null, thisTab);
  }, [draft, text]);
  useEffect(() => {
    if (matchMedia("(hover: hover)").matches) field.current?.focus();
  }, []);
  useLayoutEffect(() => {
    const { current } = field;
    if (!current) return;
    current.style.height = "0";
    current.style.height = `${Math.min(current.scrollHeight, 240)}px`;
  }, [text]);

  const send = async () => {
    const content = text.trim();
    if (!content || running || sending) return;
    setSending(true);
    setText("");
    const sent = await onSend(content);
    if (!sent) setText(content);
    setSending(false);
  };

  return (
    <form
      className="composer"
      aria-label={t("composer")}
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <div className="composer-box">
        <textarea
          id="composer"
          ref={field}
          rows={1}
          dir="auto"
          value={text}
          placeholder={t("write")}
          aria-label={t("write")}
          aria-describedby="composer-hint"
          onChange={(event) => setText(event.target.value)}
          onKeyDown={(event) => {
            if (sends(event.nativeEvent)) {
              event.preventDefault();
              void send();
            }
          }}
        />
        {running && id ? (
          <button type="button" className="round" aria-label={t("stop")} title={t("stop")} onClick={() => void stop(id)}>
            <StopIcon size={18} />
          </button>
        ) : (
          <button type="submit" className="round" aria-label={t("send")} title={t("send")} disabled={!text.trim() || sending}>
            <SendIcon size={18} />
          </button>
        )}
      </div>
      <p>
        <span id="composer-hint">{t("composerHint")} · </span>
        {t("caution")}
      </p>
    </form>
  );
}
