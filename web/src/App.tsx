// The page: list, thread, dialogs, and the keys that reach them.

import { useEffect, useState, useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { rememberKey, whenKeyIsNeeded } from "./api/client";
import { client, stop } from "./api/hooks";
import { Sidebar } from "./list/Sidebar";
import { addSources } from "./sources/adding";
import { DropZone } from "./sources/DropZone";
import { SourcesDialog } from "./sources/SourcesDialog";
import { evidence } from "./truth/evidence";
import { EvidencePanel } from "./truth/EvidencePanel";
import { show, useShown } from "./route";
import { SettingsDialog } from "./settings/SettingsDialog";
import { connection } from "./stream/connection";
import { liveAnswers } from "./stream/live";
import { Thread } from "./thread/Thread";
import { Dialog } from "./ui/Dialog";
import { ShortcutsDialog, useShortcuts } from "./ui/shortcuts";
import { recall, remember } from "./ui/memory";
import { Toasts } from "./ui/toasts";

const NARROW = "(max-width: 767px)";
/** Where a passage covers the conversation instead of standing beside it. */
const COVERED = "(max-width: 1099px)";
const SIDEBAR = "candor-sidebar";

export function App() {
  const { t } = useTranslation();
  const id = useShown();
  const [sidebar, setSidebar] = useState(() => !matchMedia(NARROW).matches && recall(SIDEBAR) !== "closed");
  // The button that opened or closed the list is gone afterwards; its counterpart takes the focus.
  const toggle = (open: boolean) => {
    setSidebar(open);
    if (!narrow()) remember(SIDEBAR, open ? "open" : "closed");
    const from = document.activeElement;
    if (!narrow() && from instanceof HTMLElement && from.matches("textarea, input") && !from.closest(".sidebar")) return;
    requestAnimationFrame(() => document.getElementById(open ? "close-sidebar" : "open-sidebar")?.focus());
  };
  const [dialog, setDialog] = useState<"settings" | "shortcuts" | "sources" | "key" | null>(null);
  const passage = useSyncExternalStore(evidence.subscribe, evidence.get);
  const covered = passage !== null && matchMedia(COVERED).matches;

  useEffect(() => whenKeyIsNeeded(() => setDialog("key")), []);
  const narrow = () => matchMedia(NARROW).matches;
  const afterChoice = () => narrow() && setSidebar(false);
  const openSearch = () => {
    setSidebar(true);
    requestAnimationFrame(() => document.getElementById("search")?.focus());
  };

  useShortcuts({
    new: () => {
      show(null);
      afterChoice();
      document.getElementById("composer")?.focus();
    },
    search: openSearch,
    focus: () => document.getElementById("composer")?.focus(),
    sidebar: () => toggle(!sidebar),
    settings: () => setDialog("settings"),
    help: () => setDialog("shortcuts"),
    stop: () => {
      if (evidence.get()) evidence.close();
      else if (id && liveAnswers.get(id)) void stop(id);
      else if (narrow() && sidebar) toggle(false);
    },
  });

  return (
    <div className="app" data-sidebar={sidebar ? "open" : "closed"}>
      <a className="skip" href="#composer" onClick={(event) => { event.preventDefault(); document.getElementById("composer")?.focus(); }}>
        {t("skip")}
      </a>
      {sidebar && (
        <>
          <Sidebar shown={id} onClose={() => toggle(false)} onChosen={afterChoice} onSettings={() => setDialog("settings")} onShortcuts={() => setDialog("shortcuts")} onSources={() => setDialog("sources")} inert={covered} />
          <div className="scrim" onClick={() => toggle(false)} />
        </>
      )}
      <div className="main" inert={(sidebar && narrow()) || covered}>
        <Gone />
        <Thread key={id ?? "new"} id={id} sidebar={sidebar} onSidebar={() => toggle(true)} onSettings={() => setDialog("settings")} onSources={() => setDialog("sources")} />
      </div>
      <EvidencePanel />
      <Toasts />
      <DropZone onFiles={(files) => addSources(files, id)} />
      {dialog === "settings" && <SettingsDialog id={id} onClose={() => setDialog(null)} />}
      {dialog === "sources" && <SourcesDialog onFiles={(files, collection) => addSources(files, id, collection)} onClose={() => setDialog(null)} />}
      {dialog === "shortcuts" && <ShortcutsDialog onClose={() => setDialog(null)} />}
      {dialog === "key" && <KeyDialog onClose={() => setDialog(null)} />}
    </div>
  );
}

function Gone() {
  const { t } = useTranslation();
  const gone = useSyncExternalStore(connection.subscribe, connection.isGone);
  useEffect(() => {
    if (!gone) void client.invalidateQueries();
  }, [gone]);
  if (!gone) return null;
  return (
    <div className="gone" role="alert">
      <span>{t("gone")}</span>
      <button type="button" onClick={() => void connection.retry()}>
        {t("retry")}
      </button>
    </div>
  );
}

function KeyDialog({ onClose }: { onClose: () => void }) {
  const { t } = useTranslation();
  const [key, setKey] = useState("");
  return (
    <Dialog title={t("key.title")} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          rememberKey(key.trim());
          onClose();
          void client.invalidateQueries();
        }}
      >
        <p className="note">{t("key.text")}</p>
        <label className="field">
          <span>{t("key.label")}</span>
          <input type="password" autoComplete="off" value={key} onChange={(event) => setKey(event.target.value)} required />
        </label>
        <footer>
          <button type="submit" className="primary">
            {t("key.enter")}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
