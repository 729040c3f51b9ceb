// Good or bad, and why. The verdict is kept at once; the reason is asked for, and may be left out.

import { useState } from "react";
import { useTranslation } from "react-i18next";
import { request } from "../api/client";
import { refresh } from "../api/hooks";
import type { Feedback, Message } from "../api/types";
import { Dialog } from "../ui/Dialog";
import { DownIcon, UpIcon } from "../ui/icons";
import { toast, toastError } from "../ui/toasts";

const reasons = {
  up: ["correct", "helpful", "clear", "other"],
  down: ["incorrect", "unhelpful", "instructions", "language", "harmful", "other"],
} as const;

export function Thumbs({ message, feedback }: { message: Message; feedback?: Feedback }) {
  const { t } = useTranslation();
  const [asking, setAsking] = useState<"up" | "down" | null>(null);
  const path = `api/conversations/${message.conversation}/messages/${message.id}/feedback`;

  const put = async (verdict: "up" | "down", reason: string, text: string): Promise<boolean> => {
    try {
      await request("PUT", path, { verdict, reason, text });
      refresh(message.conversation);
      return true;
    } catch (error) {
      toastError(error);
      return false;
    }
  };
  const press = async (verdict: "up" | "down") => {
    if (feedback?.verdict !== verdict) {
      if (await put(verdict, "", "")) setAsking(verdict);
      return;
    }
    try {
      await request("DELETE", path);
      refresh(message.conversation);
      toast(t("feedback.removed"));
    } catch (error) {
      toastError(error);
    }
  };
  const save = async (reason: string, text: string) => {
    if (!asking || !(await put(asking, reason, text))) return;
    toast(t("feedback.saved"));
    setAsking(null);
  };

  return (
    <>
      <button type="button" className="icon" aria-label={t("good")} title={t("good")} aria-pressed={feedback?.verdict === "up"} onClick={() => void press("up")}>
        <UpIcon />
      </button>
      <button type="button" className="icon" aria-label={t("bad")} title={t("bad")} aria-pressed={feedback?.verdict === "down"} onClick={() => void press("down")}>
        <DownIcon />
      </button>
      {asking && <ReasonDialog verdict={asking} onClose={() => setAsking(null)} onSave={save} />}
    </>
  );
}

interface ReasonProps {
  verdict: "up" | "down";
  onClose: () => void;
  onSave: (reason: string, text: string) => Promise<void>;
}

function ReasonDialog({ verdict, onClose, onSave }: ReasonProps) {
  const { t } = useTranslation();
  const [reason, setReason] = useState("");
  const [text, setText] = useState("");
  return (
    <Dialog title={t(verdict === "up" ? "feedback.upTitle" : "feedback.downTitle")} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void onSave(reason, text.trim());
        }}
      >
        <fieldset className="reasons">
          <legend className="sr-only">{t("feedback.reason")}</legend>
          {reasons[verdict].map((name) => (
            <label key={name}>
              <input type="radio" name="reason" value={name} checked={reason === name} onChange={() => setReason(name)} />
              <span>{t(`feedback.reasons.${name}`)}</span>
            </label>
          ))}
        </fieldset>
        <label className="field">
          <span>{t("feedback.details")}</span>
          <textarea rows={3} value={text} maxLength={4000} onChange={(event) => setText(event.target.value)} />
        </label>
        <p className="note">{t("feedback.note")}</p>
        <footer>
          <button type="button" onClick={onClose}>
            {t("feedback.without")}
          </button>
          <button type="submit" className="primary">
            {t("feedback.send")}
          </button>
        </footer>
      </form>
    </Dialog>
  );
}
