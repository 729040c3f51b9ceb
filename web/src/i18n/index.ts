// Languages of the page. Both come with it: nothing is fetched.

import i18n from "i18next";
import { initReactI18next } from "react-i18next";
import { recall } from "../ui/memory";
import en from "./en.json";
import zh from "./zh-CN.json";

export const languages: Record<string, string> = { en: "English", "zh-CN": "简体中文" };

function preferred(): string {
  const stored = recall("candor-language");
  if (stored && stored in languages) return stored;
  return navigator.languages.some((language) => language.toLowerCase().startsWith("zh")) &&
    !navigator.language.toLowerCase().startsWith("en")
    ? "zh-CN"
    : "en";
}

void i18n.use(initReactI18next).init({
  resources: { en: { translation: en }, "zh-CN": { translation: zh } },
  lng: preferred(),
  fallbackLng: "en",
  interpolation: { escapeValue: false },
  initAsync: false,
});

const label = (language: string) => (document.documentElement.lang = language);
label(i18n.language);
i18n.on("languageChanged", label);

export default i18n;
