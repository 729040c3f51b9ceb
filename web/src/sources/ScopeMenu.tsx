// Which sources a conversation is answered from: none, all, or some collections.

import { DropdownMenu } from "radix-ui";
import { useTranslation } from "react-i18next";
import { setScope } from "../api/hooks";
import { useCollections, useShelf } from "../api/sources";
import type { Conversation, Scope } from "../api/types";
import { BookIcon, CheckIcon, ChevronIcon } from "../ui/icons";
import { toastError } from "../ui/toasts";

interface Props {
  conversation: Conversation | null;
  scope: Scope;
  onManage: () => void;
}

export function ScopeMenu({ conversation, scope, onManage }: Props) {
  const { t } = useTranslation();
  const shelf = useShelf().data;
  const collections = useCollections().data ?? [];
  const chosen = typeof scope === "object" ? scope.collections : [];
  const choose = (next: Scope) => setScope(conversation, next).catch(toastError);
  const toggle = (id: string, on: boolean) => {
    const next = on ? [...chosen, id] : chosen.filter((one) => one !== id);
    void choose(next.length > 0 ? { collections: next } : "none");
  };
  const name = label(scope, collections.filter(({ id }) => chosen.includes(id)).map((one) => one.name), t);
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className={scope === "none" ? "scope" : "scope on"} aria-label={t("scope.choose", { name })}>
        <BookIcon size={15} />
        <span>{name}</span>
        <ChevronIcon size={13} />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu scope-menu" align="start" side="top" sideOffset={8} collisionPadding={12}>
          <DropdownMenu.RadioGroup value={typeof scope === "string" ? scope : ""} onValueChange={(value) => void choose(value as Scope)}>
            <DropdownMenu.RadioItem value="none" className="menu-item">
              <span className="model-name">{t("scope.none")}</span>
              <small>{t("scope.noneNote")}</small>
            </DropdownMenu.RadioItem>
            <DropdownMenu.RadioItem value="all" className="menu-item">
              <span className="model-name">{t("scope.all")}</span>
              <small>{t("scope.allNote", { count: shelf?.total ?? 0 })}</small>
            </DropdownMenu.RadioItem>
          </DropdownMenu.RadioGroup>
          {collections.length > 0 && <DropdownMenu.Separator className="menu-line" />}
          {collections.map(({ id, name, files }) => (
            <DropdownMenu.CheckboxItem key={id} className="menu-item check" checked={chosen.includes(id)} onSelect={(event) => event.preventDefault()} onCheckedChange={(on) => toggle(id, on)}>
              <span className="tick">
                <DropdownMenu.ItemIndicator>
                  <CheckIcon size={14} />
                </DropdownMenu.ItemIndicator>
              </span>
              <span dir="auto">{name}</span>
              <small>{files}</small>
            </DropdownMenu.CheckboxItem>
          ))}
          <DropdownMenu.Separator className="menu-line" />
          <DropdownMenu.Item className="menu-item" onSelect={onManage}>
            {t("scope.manage")}
          </DropdownMenu.Item>
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}

function label(scope: Scope, names: string[], t: (key: string, values?: Record<string, unknown>) => string): string {
  if (scope === "none" || scope === "all") return t(`scope.${scope}`);
  return names.length === 1 && scope.collections.length === 1 ? (names[0] ?? "") : t("scope.some", { count: scope.collections.length });
}
