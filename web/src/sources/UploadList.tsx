// Files that are on their way, above the message field and in the list of sources.

import { useSyncExternalStore } from "react";
import { useTranslation } from "react-i18next";
import { BookIcon, CheckIcon, CloseIcon } from "../ui/icons";
import { type Upload, uploads } from "./uploads";

export function UploadList() {
  const { t } = useTranslation();
  const list = useSyncExternalStore(uploads.subscribe, uploads.get);
  if (list.length === 0) return null;
  return (
    <ul className="uploads" aria-label={t("uploads.label")}>
      {list.map((upload) => (
        <li key={upload.id} data-state={upload.state}>
          {upload.state === "ready" ? <CheckIcon size={15} /> : <BookIcon size={15} />}
          <span className="upload-name" dir="auto">
            {upload.name}
          </span>
          <State upload={upload} />
          <button type="button" className="icon" aria-label={t(upload.state === "waiting" || upload.state === "sending" ? "uploads.stop" : "uploads.dismiss", { name: upload.name })} onClick={() => uploads.dismiss(upload.id)}>
            <CloseIcon size={13} />
          </button>
        </li>
      ))}
    </ul>
  );
}

function State({ upload }: { upload: Upload }) {
  const { t } = useTranslation();
  if (upload.state === "sending") {
    const share = upload.size > 0 ? upload.sent / upload.size : 0;
    return <progress max={1} value={share} aria-label={t("uploads.sending", { name: upload.name })} />;
  }
  if (upload.state === "failed") {
    return (
      <span className="upload-error" role="alert">
        {upload.error || t("uploads.failed")}
      </span>
    );
  }
  return <small role="status">{t(`uploads.${upload.state}`)}</small>;
}
