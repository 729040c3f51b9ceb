// Where a message is written. What is typed survives a reload until it is sent.

import { useEffect, useLayoutEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { stop } from "../api/hooks";
import type { Conversation, Scope } from "../api/types";
import { addSources } from "../sources/adding";
import { pickFiles } from "../sources/files";
import { ScopeMenu } from "../sources/ScopeMenu";
import { UploadList } from "../sources/UploadList";
import { PlusIcon, SendIcon, StopIcon } from "../ui/icons";
import { sends } from "../ui/keys";
import { recall, remember, thisTab } from "../ui/memory";

interface Props {
  id: string | null;
  running: boolean;
  conversation: Conversation | null;
  scope: Scope;
  onSources: () => void;
  onSend: (text: string) => Promise<boolean>;
}

export function Composer({ id, running, conversation, scope, onSources, onSend }: Props) {
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
        <UploadList />
        <textarea
          id="composer"
          ref={field}
          rows={1}
          dir="auto"
          value={text}
          placeholder={t(scope === "none" ? "write" : "askSources")}
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
        <div className="composer-tools">
          <button type="button" className="icon" aria-label={t("sources.add")} title={t("sources.add")} onClick={() => pickFiles((files) => addSources(files, id))}>
            <PlusIcon size={18} />
          </button>
          <ScopeMenu conversation={conversation} scope={scope} onManage={onSources} />
          <span className="filler" />
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
      </div>
      <p>
        <span id="composer-hint">{t("composerHint")} · </span>
        {t(scope === "none" ? "caution" : "cautionSources")}
      </p>
    </form>
  );
}
