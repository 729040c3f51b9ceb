// Sampling and system prompt, of this conversation or of new ones; theme and language of this browser.

import { useId, useState } from "react";
import { useTranslation } from "react-i18next";
import { changeConversation, setDefaults, useConversation, useSettings } from "../api/hooks";
import type { Sampling } from "../api/types";
import i18n, { languages } from "../i18n";
import { Dialog } from "../ui/Dialog";
import { setLanguage, setTheme, type Theme, useTheme } from "../ui/preferences";
import { toast, toastError } from "../ui/toasts";

/** As crates/server/src/app/sampling.rs has them. */
const usual = { temperature: 0.7, top_p: 0.95, top_k: 0, min_p: 0.05, repetition_penalty: 1 };

interface Knob {
  key: keyof typeof usual;
  label: string;
  min?: number;
  max: number;
  step: number;
}

const knobs: Knob[] = [
  { key: "temperature", label: "temperature", max: 2, step: 0.05 },
  { key: "top_p", label: "topP", max: 1, step: 0.01 },
  { key: "min_p", label: "minP", max: 1, step: 0.01 },
  { key: "top_k", label: "topK", max: 200, step: 1 },
  { key: "repetition_penalty", label: "repetition", min: 1, max: 2, step: 0.05 },
];

export function SettingsDialog({ id, onClose }: { id: string | null; onClose: () => void }) {
  const settings = useSettings();
  const conversation = useConversation(id);
  if (settings.isPending || (id && conversation.isPending)) return null;
  const from = id ? conversation.data?.conversation : settings.data?.defaults;
  return <Form id={conversation.data ? id : null} from={from ?? {}} onClose={onClose} />;
}

function Form({ id, from, onClose }: { id: string | null; from: { sampling?: Sampling; system_prompt?: string }; onClose: () => void }) {
  const { t } = useTranslation();
  const defaults = useSettings().data?.defaults;
  const [sampling, setSampling] = useState<Sampling>(from.sampling ?? {});
  const [system, setSystem] = useState(from.system_prompt ?? "");
  const theme = useTheme();
  const put = (key: keyof Sampling, value: number | null) => setSampling((now) => ({ ...now, [key]: value }));

  const save = async () => {
    try {
      const kept = Object.fromEntries(Object.entries(sampling).filter(([, value]) => value !== null));
      if (id) await changeConversation(id, { sampling: kept, system_prompt: system });
      else await setDefaults({ ...defaults, sampling: kept, system_prompt: system });
      toast(t("settingsSaved"));
      onClose();
    } catch (error) {
      toastError(error);
    }
  };

  return (
    <Dialog title={t("settings")} onClose={onClose} wide>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void save();
        }}
      >
        <h3>{t(id ? "settingsHere" : "settingsNew")}</h3>
        <label className="field">
          <span>{t("systemPrompt")}</span>
          <textarea rows={3} value={system} placeholder={t("systemPromptHint")} onChange={(event) => setSystem(event.target.value)} />
        </label>
        <div className="knobs">
          {knobs.map((knob) => (
            <Slider key={knob.key} knob={knob} value={sampling[knob.key] ?? usual[knob.key]} onChange={(value) => put(knob.key, value)} />
          ))}
          <Whole label="maxTokens" value={sampling.max_tokens ?? null} min={1} onChange={(value) => put("max_tokens", value)} />
          <Whole label="seed" value={sampling.seed ?? null} min={0} onChange={(value) => put("seed", value)} />
        </div>
        <button type="button" className="link" onClick={() => setSampling({})}>
          {t("reset")}
        </button>
        <h3>{t("appearance")}</h3>
        <div className="knobs">
          <label className="field">
            <span>{t("theme")}</span>
            <select value={theme} onChange={(event) => setTheme(event.target.value as Theme)}>
              {(["system", "light", "dark"] as const).map((name) => (
                <option key={name} value={name}>
                  {t(`themes.${name}`)}
                </option>
              ))}
            </select>
          </label>
          <label className="field">
            <span>{t("language")}</span>
            <select value={i18n.language} onChange={(event) => setLanguage(event.target.value)}>
              {Object.entries(languages).map(([code, name]) => (
                <option key={code} value={code} lang={code}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        </div>
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

function Slider({ knob, value, onChange }: { knob: Knob; value: number; onChange: (value: number) => void }) {
  const { t } = useTranslation();
  const id = useId();
  return (
    <div className="field">
      <span className="row">
        <label htmlFor={id}>{t(knob.label)}</label>
        <output htmlFor={id}>{value}</output>
      </span>
      <input id={id} type="range" min={knob.min ?? 0} max={knob.max} step={knob.step} value={value} aria-describedby={`${id}-hint`} onChange={(event) => onChange(Number(event.target.value))} />
      <small id={`${id}-hint`}>{t(`${knob.label}Hint`)}</small>
    </div>
  );
}

function Whole({ label, value, min, onChange }: { label: string; value: number | null; min: number; onChange: (value: number | null) => void }) {
  const { t } = useTranslation();
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{t(label)}</label>
      <input
        id={id}
        type="number"
        min={min}
        max={9007199254740991}
        step={1}
        value={value ?? ""}
        aria-describedby={`${id}-hint`}
        onChange={(event) => onChange(event.target.value === "" ? null : Math.trunc(Number(event.target.value)))}
      />
      <small id={`${id}-hint`}>{t(`${label}Hint`)}</small>
    </div>
  );
}
