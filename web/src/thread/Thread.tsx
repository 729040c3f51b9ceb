// One conversation: its head, its turns, and the field to write in.

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { Failure } from "../api/client";
import { ask, changeConversation, client, scopeOf, useConversation, useModels, useSettings } from "../api/hooks";
import { useShelf } from "../api/sources";
import { conversational, type Defaults } from "../api/types";
import { show } from "../route";
import { DialMenu } from "../settings/DialMenu";
import { ModelMenu } from "../settings/ModelMenu";
import { liveAnswers } from "../stream/live";
import { evidence } from "../truth/evidence";
import { ChevronIcon, SidebarIcon, SlidersIcon } from "../ui/icons";
import { toastError } from "../ui/toasts";
import { divider, shown } from "./branches";
import { Composer } from "./Composer";
import { Empty } from "./Empty";
import { Answer, Question } from "./Message";
import { Announcer } from "./Announcer";

interface Props {
  id: string | null;
  sidebar: boolean;
  onSidebar: () => void;
  onSettings: () => void;
  onSources: () => void;
}

export function Thread({ id, sidebar, onSidebar, onSettings, onSources }: Props) {
  const { t } = useTranslation();
  const query = useConversation(id);
  const models = useModels();
  const settings = useSettings();
  const data = query.data;
  const turns = useMemo(() => (data ? shown(data.messages, data.conversation.leaf) : []), [data]);
  const line = divider(turns);
  const running = data?.running ?? false;

  useEffect(() => {
    if (id && running) liveAnswers.follow(id);
  }, [id, running]);
  useEffect(
    () => () => {
      // What came meanwhile is read when the conversation is shown again.
      if (!id || !liveAnswers.get(id)) return;
      liveAnswers.leave(id);
      void client.invalidateQueries({ queryKey: ["conversation", id], refetchType: "none" });
    },
    [id],
  );
  useEffect(() => () => evidence.close(false), [id]);
  useEffect(() => {
    document.title = data?.conversation.title ? `${data.conversation.title} · Candor` : "Candor";
  }, [data?.conversation.title]);

  // Where there are sources, whoever has not chosen asks them.
  const sources = (useShelf().data?.total ?? 0) > 0 ? "all" : "none";
  const defaults: Defaults = { sources, ...settings.data?.defaults };
  const usable = conversational(models.data ?? []);
  const chosen = usable.find((one) => one.id === defaults.model) ?? usable[0];

  const scope = scopeOf(data?.conversation ?? null, defaults);
  // Of a conversation that is not there yet; it is off again in the next one.
  const [newPhrase, setNewPhrase] = useState(false);
  const phrase = id ? (data?.conversation.phrase ?? false) : newPhrase;
  const changePhrase = (phrase: boolean) => {
    if (id) changeConversation(id, { phrase }).catch(toastError);
    else setNewPhrase(phrase);
  };

  const [sent, setSent] = useState(0);
  const send = async (content: string) => {
    try {
      setSent((count) => count + 1);
      const conversation = await ask(id, content, { ...defaults, model: chosen?.id, phrase });
      if (conversation !== id) show(conversation);
      return true;
    } catch (error) {
      toastError(error);
      return false;
    }
  };

  return (
    <>
      <header className="head">
        {!sidebar && (
          <button id="open-sidebar" type="button" className="icon" aria-label={t("openSidebar")} title={t("openSidebar")} onClick={onSidebar}>
            <SidebarIcon size={18} />
          </button>
        )}
        <ModelMenu conversation={data?.conversation ?? null} />
        <DialMenu phrase={scope === "none" ? null : phrase} onPhrase={changePhrase} />
        <h1 className={data?.conversation.title ? "title" : "sr-only"} dir="auto">
          {data?.conversation.title || t("newChat")}
        </h1>
        <button type="button" className="icon last" aria-label={t("settings")} title={t("settings")} onClick={onSettings}>
          <SlidersIcon size={18} />
        </button>
      </header>
      <Scroller sent={sent} stays={id !== null}>
        {id === null && <Empty owner={chosen?.owned_by ?? "candor"} onChoose={send} />}
        {query.isError && id && <Missing error={query.error} onRetry={() => void query.refetch()} />}
        {query.isPending && id && <p className="note center loading">{t("loading")}</p>}
        {turns.map(({ message, siblings }, n) => (
          <div key={message.id} className="turn">
            {n === line && (
              <div className="left-out" role="note">
                <span>{t("leftOut", { count: turns.findLast((turn) => turn.message.role === "assistant")?.message.turns_left_out ?? 0 })}</span>
              </div>
            )}
            {message.role === "user" ? (
              <Question message={message} siblings={siblings} busy={running} />
            ) : (
              <Answer message={message} siblings={siblings} busy={running} feedback={data?.feedback.find((one) => one.message === message.id)} />
            )}
          </div>
        ))}
      </Scroller>
      {!(query.isError && id) && <Composer id={id} running={running} conversation={data?.conversation ?? null} scope={scope} onSources={onSources} onSend={send} />}
      {id && <Announcer id={id} running={running} turns={turns} />}
    </>
  );
}

function Missing({ error, onRetry }: { error: Error; onRetry: () => void }) {
  const { t } = useTranslation();
  const gone = error instanceof Failure && error.status === 404;
  return (
    <div className="missing" role="alert">
      <p>{gone ? t("notFound") : error.message || t("notLoadedNow")}</p>
      {/* Stands where the message field would, so it is what the skip link leads to. */}
      <button id="composer" type="button" onClick={gone ? () => show(null) : onRetry}>
        {t(gone ? "newChat" : "retry")}
      </button>
    </div>
  );
}

/** Stays at the end while an answer grows, unless the reader went up; goes there when a question is sent. */
function Scroller({ sent, stays, children }: { sent: number; stays: boolean; children: React.ReactNode }) {
  const { t } = useTranslation();
  const box = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const atEnd = useRef(true);
  const before = useRef(0);
  const [away, setAway] = useState(false);
  const toEnd = () => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  };
  useLayoutEffect(() => {
    if (sent === 0) return;
    atEnd.current = true;
    toEnd();
  }, [sent]);
  useLayoutEffect(() => {
    if (!inner.current) return;
    const observer = new ResizeObserver(() => {
      if (stays && atEnd.current) toEnd();
    });
    observer.observe(inner.current);
    return () => observer.disconnect();
  }, [stays]);

  return (
    <main className="scroller-frame">
      <div
        ref={box}
        className="scroller"
        tabIndex={0}
        role="region"
        aria-label={t("thread")}
        onScroll={() => {
          if (!box.current) return;
          const left = box.current.scrollHeight - box.current.scrollTop - box.current.clientHeight;
          // Only who went up has left the end: an answer may grow by more between a scroll to its end and the event of it.
          if (left < 48 || box.current.scrollTop < before.current) atEnd.current = left < 48;
          before.current = box.current.scrollTop;
          setAway(left > 200);
        }}
      >
        <div ref={inner} className="column">
          {children}
        </div>
      </div>
      {away && (
        <button
          type="button"
          className="latest"
          onClick={() => {
            atEnd.current = true;
            toEnd();
          }}
        >
          <ChevronIcon />
          {t("latest")}
        </button>
      )}
    </main>
  );
}
