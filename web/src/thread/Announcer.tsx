// What a screen reader hears: that an answer has begun, and the answer when it is complete. Reading a text out while it
// grows would say everything many times.

import { useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import type { Turn } from "./branches";

export function Announcer({ id, running, turns }: { id: string; running: boolean; turns: Turn[] }) {
  const { t } = useTranslation();
  const [said, setSaid] = useState("");
  const before = useRef({ id, running });
  useEffect(() => {
    const last = turns.at(-1)?.message;
    const { current } = before;
    if (current.id === id && current.running !== running && last?.role === "assistant") {
      if (running) setSaid(t("answering", { model: last.model ?? "Candor" }));
      else if (last.state === "stopped") setSaid(t("answerStopped"));
      else if (last.candor?.outcome === "abstained") setSaid(t("answered", { text: t("abstained.title") }));
      else setSaid(last.error ?? t("answered", { text: last.content.slice(0, 2000) }));
    }
    before.current = { id, running };
  }, [id, running, turns, t]);
  return (
    <div className="sr-only" role="status" aria-live="polite">
      {said}
    </div>
  );
}
