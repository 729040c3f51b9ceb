// The conversations there are: by day, or those that a search finds.

import { DropdownMenu } from "radix-ui";
import { memo, useDeferredValue, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { open, request } from "../api/client";
import { changeConversation, client, refresh, useConversations, useSearch } from "../api/hooks";
import { useShelf } from "../api/sources";
import type { Conversation, Hit } from "../api/types";
import { show } from "../route";
import { liveAnswers } from "../stream/live";
import { Dialog } from "../ui/Dialog";
import { BookIcon, CloseIcon, DotsIcon, KeyboardIcon, Logo, PlusIcon, SearchIcon, SidebarIcon, SlidersIcon } from "../ui/icons";
import { toast, toastError } from "../ui/toasts";
import { byDay } from "./days";

interface Props {
  shown: string | null;
  onClose: () => void;
  onChosen: () => void;
  onSettings: () => void;
  onShortcuts: () => void;
  onSources: () => void;
  inert: boolean;
}

export function Sidebar({ shown, onClose, onChosen, onSettings, onShortcuts, onSources, inert }: Props) {
  const { t } = useTranslation();
  const [words, setWords] = useState("");
  const searched = useDeferredValue(words.trim());
  const all = useConversations();
  const hits = useSearch(searched);
  const list: (Conversation | Hit)[] | undefined = searched ? hits.data : all.data;
  const groups = searched ? [{ day: null, list: list ?? [] }] : byDay(list ?? [], Date.now());
  const [renamed, setRenamed] = useState<Conversation | null>(null);
  const [deleted, setDeleted] = useState<Conversation | null>(null);
  const more = !searched && all.hasNextPage;

  return (
    <nav className="sidebar" aria-label={t("conversations")} inert={inert}>
      <div className="brand">
        <Logo />
        <span>Candor</span>
        <button id="close-sidebar" type="button" className="icon" aria-label={t("closeSidebar")} title={t("closeSidebar")} onClick={onClose}>
          <SidebarIcon size={18} />
        </button>
      </div>
      <button
        type="button"
        className="new"
        onClick={() => {
          show(null);
          onChosen();
        }}
      >
        <PlusIcon />
        {t("newChat")}
      </button>
      <button type="button" className="library" onClick={onSources}>
        <BookIcon />
        {t("sources.title")}
        <SourceCount />
      </button>
      <div className="search" role="search">
        <SearchIcon />
        <input
          id="search"
          type="text"
          value={words}
          placeholder={t("search")}
          aria-label={t("searchHint")}
          onChange={(event) => setWords(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === "Escape" && words) {
              event.stopPropagation();
              setWords("");
            }
          }}
        />
        {words && (
          <button type="button" className="icon" aria-label={t("clearSearch")} onClick={() => setWords("")}>
            <CloseIcon size={14} />
          </button>
        )}
      </div>
      <div className="conversations">
        {groups.map(({ day, list }) => (
          <section key={day ?? "hits"}>
            {day && list.length > 0 && <h2>{t(day)}</h2>}
            <ul>
              {list.map((one) => (
                <Row key={one.id} one={one} current={one.id === shown} onChosen={onChosen} onRename={setRenamed} onDelete={setDeleted} />
              ))}
            </ul>
          </section>
        ))}
        {more && <More key={list?.length} onSeen={() => void all.fetchNextPage()} />}
        {list?.length === 0 && <p className="note">{searched ? t("nothingFound", { words: searched }) : t("noConversations")}</p>}
      </div>
      <div className="tools">
        <Import />
        <button type="button" className="icon" aria-label={t("shortcuts")} title={t("shortcuts")} onClick={onShortcuts}>
          <KeyboardIcon />
        </button>
        <button type="button" className="icon" aria-label={t("settings")} title={t("settings")} onClick={onSettings}>
          <SlidersIcon />
        </button>
      </div>
      {renamed && <RenameDialog one={renamed} onClose={() => setRenamed(null)} />}
      {deleted && <DeleteDialog one={deleted} shown={shown} onClose={() => setDeleted(null)} />}
    </nav>
  );
}

function SourceCount() {
  const { t } = useTranslation();
  const shelf = useShelf().data;
  if (!shelf || shelf.total === 0) return null;
  return <small>{shelf.reading > 0 ? t("sources.reading", { count: shelf.reading }) : shelf.total}</small>;
}

interface RowProps {
  one: Conversation | Hit;
  current: boolean;
  onChosen: () => void;
  onRename: (one: Conversation) => void;
  onDelete: (one: Conversation) => void;
}

/** Asks for more of the list when its end comes near. */
function More({ onSeen }: { onSeen: () => void }) {
  const { t } = useTranslation();
  const end = useRef<HTMLButtonElement>(null);
  const seen = useRef(onSeen);
  seen.current = onSeen;
  useEffect(() => {
    if (!end.current) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && seen.current(), { rootMargin: "400px" });
    observer.observe(end.current);
    return () => observer.disconnect();
  }, []);
  return (
    <button ref={end} type="button" className="link" onClick={onSeen}>
      {t("more")}
    </button>
  );
}

const Row = memo(function Row({ one, current, onChosen, onRename, onDelete }: RowProps) {
  const { t } = useTranslation();
  const title = one.title || t("untitled");
  const snippet = "snippet" in one ? one.snippet : null;
  const address = new URL(`c/${one.id}`, document.baseURI).toString();
  return (
    <li className={current ? "row current" : "row"}>
      <a
        href={address}
        aria-current={current ? "page" : undefined}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          show(one.id);
          onChosen();
        }}
      >
        <span dir="auto">{title}</span>
        {snippet && <small dir="auto">{snippet}</small>}
      </a>
      <DropdownMenu.Root modal={false}>
        <DropdownMenu.Trigger className="icon" aria-label={t("actions", { title })}>
          <DotsIcon />
        </DropdownMenu.Trigger>
        <DropdownMenu.Portal>
          <DropdownMenu.Content className="menu" align="start">
            <DropdownMenu.Item className="menu-item" onSelect={() => onRename(one)}>
              {t("rename")}
            </DropdownMenu.Item>
            <DropdownMenu.Item className="menu-item" onSelect={() => void save(one, "markdown")}>
              {t("exportMarkdown")}
            </DropdownMenu.Item>
            <DropdownMenu.Item className="menu-item" onSelect={() => void save(one, "json")}>
              {t("exportJson")}
            </DropdownMenu.Item>
            <DropdownMenu.Item className="menu-item danger" onSelect={() => onDelete(one)}>
              {t("delete")}
            </DropdownMenu.Item>
          </DropdownMenu.Content>
        </DropdownMenu.Portal>
      </DropdownMenu.Root>
    </li>
  );
});

/** A title inside a sentence: its characters may not turn the rest of the sentence around. */
const isolated = (text: string): string => `\u2068${text}\u2069`;

/** Fetches the export and hands it to the browser as a file, named after the conversation. */
async function save(one: Conversation, format: "markdown" | "json"): Promise<void> {
  try {
    const response = await open("GET", `api/conversations/${one.id}/export?format=${format}`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    const name = one.title.replace(/[^\p{L}\p{N} -]+/gu, "").trim().slice(0, 60) || "conversation";
    link.download = `${name}.${format === "json" ? "json" : "md"}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    toastError(error);
  }
}

function Import() {
  const { t } = useTranslation();
  const input = useRef<HTMLInputElement>(null);
  const read = async (file: File) => {
    let document: unknown;
    try {
      document = JSON.parse(await file.text());
    } catch {
      toast(t("importFailed"), true);
      return;
    }
    try {
      const made = await request<Conversation>("POST", "api/import", document);
      refresh();
      show(made.id);
      toast(t("imported"));
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <>
      <button type="button" className="link" onClick={() => input.current?.click()}>
        {t("import")}
      </button>
      <input
        ref={input}
        type="file"
        accept="application/json,.json"
        hidden
        aria-label={t("import")}
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) void read(file);
          event.target.value = "";
        }}
      />
    </>
  );
}

function RenameDialog({ one, onClose }: { one: Conversation; onClose: () => void }) {
  const { t } = useTranslation();
  const [title, setTitle] = useState(one.title);
  return (
    <Dialog title={t("rename")} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          changeConversation(one.id, { title }).then(() => client.invalidateQueries({ queryKey: ["search"] }), toastError);
          onClose();
        }}
      >
        <label className="field">
          <span>{t("title")}</span>
          <input value={title} maxLength={200} onChange={(event) => setTitle(event.target.value)} autoFocus />
        </label>
        <footer>
          <button type="button" onClick={onClose}>
            {t("cancel")}
          </button>
          <button type="submit" className="primary">
            {t("save")}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}

function DeleteDialog({ one, shown, onClose }: { one: Conversation; shown: string | null; onClose: () => void }) {
  const { t } = useTranslation();
  const remove = async () => {
    onClose();
    try {
      await request("DELETE", `api/conversations/${one.id}`);
      liveAnswers.leave(one.id);
      if (one.id === shown) show(null, true);
      client.removeQueries({ queryKey: ["conversation", one.id] });
    } catch (error) {
      toastError(error);
    }
    refresh();
    void client.invalidateQueries({ queryKey: ["search"] });
  };
  return (
    <Dialog title={t("deleteTitle")} onClose={onClose}>
      <p>{t("deleteText", { title: isolated(one.title || t("untitled")) })}</p>
      <footer>
        <button type="button" onClick={onClose} autoFocus>
          {t("cancel")}
        </button>
        <button type="button" className="primary danger" onClick={() => void remove()}>
          {t("delete")}
        </button>
      </footer>
    </Dialog>
  );
}
