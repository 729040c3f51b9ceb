// All sources: add, find, remove, and sort into collections.

import { useDeferredValue, useEffect, useState } from "react";
import { useTranslation } from "react-i18next";
import { join, leave, makeCollection, removeCollection, removeSource, useCollections, useShelf } from "../api/sources";
import type { Collection, Source } from "../api/types";
import { Dialog } from "../ui/Dialog";
import { BookIcon, CloseIcon, FolderIcon, PlusIcon, SearchIcon, TrashIcon } from "../ui/icons";
import { toastError } from "../ui/toasts";
import { pickFiles } from "./files";
import { UploadList } from "./UploadList";

interface Props {
  /** Takes files in; they join the collection, where one is shown. */
  onFiles: (files: File[], collection: string | null) => void;
  onClose: () => void;
}

export function SourcesDialog({ onFiles, onClose }: Props) {
  const { t } = useTranslation();
  const [words, setWords] = useState("");
  const [collection, setCollection] = useState<string | null>(null);
  const shelf = useShelf(useDeferredValue(words.trim()), collection);
  const collections = useCollections().data ?? [];
  const list = shelf.data?.sources ?? [];
  return (
    <Dialog title={t("sources.title")} onClose={onClose} wide>
      <p className="note">{t("sources.note")}</p>
      <div className="shelf-head">
        <button type="button" className="primary" onClick={() => pickFiles((files) => onFiles(files, collection))}>
          <PlusIcon size={15} />
          {t("sources.add")}
        </button>
        <div className="search" role="search">
          <SearchIcon />
          <input type="text" value={words} placeholder={t("sources.search")} aria-label={t("sources.search")} onChange={(event) => setWords(event.target.value)} />
          {words && (
            <button type="button" className="icon" aria-label={t("clearSearch")} onClick={() => setWords("")}>
              <CloseIcon size={14} />
            </button>
          )}
        </div>
      </div>
      <Collections list={collections} shown={collection} onShow={setCollection} />
      <UploadList />
      <ul className="shelf" aria-label={t("sources.title")}>
        {list.map((source) => (
          <Row key={source.id} source={source} collections={collections} />
        ))}
      </ul>
      {shelf.data && list.length === 0 && <p className="note center">{t(words || collection ? "sources.noneFound" : "sources.none")}</p>}
      {list.length >= 200 && <p className="note center">{t("sources.more", { count: shelf.data?.total })}</p>}
    </Dialog>
  );
}

function Collections({ list, shown, onShow }: { list: Collection[]; shown: string | null; onShow: (id: string | null) => void }) {
  const { t } = useTranslation();
  const [naming, setNaming] = useState(false);
  const [name, setName] = useState("");
  const make = async () => {
    if (!name.trim()) return;
    try {
      onShow(await makeCollection(name.trim()));
      setNaming(false);
      setName("");
    } catch (error) {
      toastError(error);
    }
  };
  return (
    <div className="collections" role="group" aria-label={t("collections.label")}>
      <button type="button" aria-pressed={shown === null} onClick={() => onShow(null)}>
        {t("collections.all")}
      </button>
      {list.map((one) => (
        <button key={one.id} type="button" aria-pressed={shown === one.id} onClick={() => onShow(one.id)}>
          <FolderIcon size={14} />
          <span dir="auto">{one.name}</span>
          <small>{one.files}</small>
        </button>
      ))}
      {naming ? (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void make();
          }}
        >
          <input
            value={name}
            maxLength={200}
            autoFocus
            placeholder={t("collections.name")}
            aria-label={t("collections.name")}
            onChange={(event) => setName(event.target.value)}
            onKeyDown={(event) => {
              if (event.key !== "Escape") return;
              event.preventDefault();
              setNaming(false);
            }}
          />
          <button type="submit" disabled={!name.trim()}>
            {t("save")}
          </button>
        </form>
      ) : (
        <button type="button" className="quiet" onClick={() => setNaming(true)}>
          <PlusIcon size={14} />
          {t("collections.make")}
        </button>
      )}
      {shown && (
        <button
          type="button"
          className="quiet"
          onClick={() => {
            onShow(null);
            removeCollection(shown).catch(toastError);
          }}
        >
          {t("collections.remove")}
        </button>
      )}
    </div>
  );
}

function Row({ source, collections }: { source: Source; collections: Collection[] }) {
  const { t, i18n } = useTranslation();
  const [open, setOpen] = useState<"collections" | "remove" | null>(null);
  const title = source.title || source.name;
  const facts = [source.title && source.title !== source.name && source.name, size(source.size, i18n.language), source.date].filter(Boolean);
  return (
    <li data-state={source.state}>
      <BookIcon size={17} />
      <div className="shelf-words">
        <span className="shelf-title" dir="auto">
          {title}
        </span>
        <small dir="auto">{facts.join(" · ")}</small>
        {source.state === "failed" && <small className="upload-error">{source.error}</small>}
        {source.notes.map((note) => (
          <small key={note}>{note}</small>
        ))}
      </div>
      <small className="shelf-state">{t(`sources.state.${source.state}`)}</small>
      {collections.length > 0 && (
        <button type="button" className="icon" aria-label={t("collections.of", { title })} title={t("collections.of", { title })} aria-expanded={open === "collections"} onClick={() => setOpen(open === "collections" ? null : "collections")}>
          <FolderIcon />
        </button>
      )}
      <button type="button" className="icon" aria-label={t("sources.remove", { title })} title={t("sources.removeShort")} aria-expanded={open === "remove"} onClick={() => setOpen(open === "remove" ? null : "remove")}>
        <TrashIcon />
      </button>
      {open === "collections" && (
        <div className="shelf-more">
          {collections.map(({ id, name }) => (
            <Membership key={id} source={source} id={id} name={name} />
          ))}
        </div>
      )}
      {open === "remove" && (
        <div className="shelf-more">
          <span>{t("sources.removeText")}</span>
          <button type="button" onClick={() => setOpen(null)}>
            {t("cancel")}
          </button>
          <button type="button" className="danger" autoFocus onClick={() => removeSource(source.id).catch(toastError)}>
            {t("sources.removeShort")}
          </button>
        </div>
      )}
    </li>
  );
}

/** Ticked at once; the server's answer follows. */
function Membership({ source, id, name }: { source: Source; id: string; name: string }) {
  const is = source.collections.includes(id);
  const [on, setOn] = useState(is);
  useEffect(() => setOn(is), [is]);
  const put = (wanted: boolean) => {
    setOn(wanted);
    (wanted ? join(id, source.id) : leave(id, source.id)).catch((error: unknown) => {
      setOn(is);
      toastError(error);
    });
  };
  return (
    <label>
      <input type="checkbox" checked={on} onChange={(event) => put(event.target.checked)} />
      <span dir="auto">{name}</span>
    </label>
  );
}

/** Bytes for people. */
export function size(bytes: number, language: string): string {
  const units = ["byte", "kilobyte", "megabyte", "gigabyte"] as const;
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  const value = bytes / 1000 ** power;
  return new Intl.NumberFormat(language, { style: "unit", unit: units[power], unitDisplay: power === 0 ? "long" : "short", maximumFractionDigits: value < 10 && power > 0 ? 1 : 0 }).format(value);
}
