// The model that answers: of this conversation, or of new ones.

import { DropdownMenu } from "radix-ui";
import { useTranslation } from "react-i18next";
import { changeConversation, setDefaults, useModels, useSettings } from "../api/hooks";
import { type Conversation, conversational } from "../api/types";
import { ChevronIcon } from "../ui/icons";
import { toastError } from "../ui/toasts";

export function ModelMenu({ conversation }: { conversation: Conversation | null }) {
  const { t } = useTranslation();
  const models = useModels().data ?? [];
  const defaults = useSettings().data?.defaults;
  const usable = conversational(models);
  const wanted = conversation?.model ?? defaults?.model;
  const name = models.some((model) => model.id === wanted) ? wanted : usable[0]?.id;

  const choose = async (model: string) => {
    try {
      await setDefaults({ ...defaults, model });
      if (conversation) await changeConversation(conversation.id, { model });
    } catch (error) {
      toastError(error);
    }
  };

  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className="model" aria-label={t("chooseModel", { name: name ?? t("noModel") })}>
        <span>{name ?? t("noModel")}</span>
        <ChevronIcon size={14} />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu" align="start" sideOffset={6}>
          <DropdownMenu.RadioGroup value={name} onValueChange={(model) => void choose(model)}>
            {models.map((model) => (
              <DropdownMenu.RadioItem key={model.id} value={model.id} disabled={model.chat === false} className="menu-item model-item">
                <span className="model-name">{model.id}</span>
                <small>
                  {model.chat === false ? t("noChat") : model.context ? t("context", { tokens: model.context.toLocaleString() }) : t("notLoaded")}
                </small>
              </DropdownMenu.RadioItem>
            ))}
          </DropdownMenu.RadioGroup>
          {models.length === 0 && <div className="menu-item">{t("noModel")}</div>}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
