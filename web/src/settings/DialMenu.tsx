// The dial: how many of the given answers may be wrong before Candor rather says that it does not know. Below it, whether
// answers from sources are in the model's own words.

import { DropdownMenu } from "radix-ui";
import { useTranslation } from "react-i18next";
import { dialOf, setDial, useSettings } from "../api/hooks";
import { CheckIcon, ChevronIcon, EditIcon, GaugeIcon } from "../ui/icons";
import { toastError } from "../ui/toasts";

const stops = [0.01, 0.05, 0.1, null] as const;

/** `0.1` is `10%`; what is no stop of the dial, such as one that was sent through the API, reads the same. */
export const percent = (share: number): string => `${Math.round(share * 1000) / 10}%`;

interface Props {
  /** In the model's own words; `null` where no sources are asked, so that it means nothing. */
  phrase: boolean | null;
  onPhrase: (phrase: boolean) => void;
}

export function DialMenu({ phrase, onPhrase }: Props) {
  const { t } = useTranslation();
  const dial = dialOf(useSettings().data);
  const name = dial === null ? t("dial.off") : percent(dial);
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger className="model dial" aria-label={t(phrase ? "dial.choosePhrased" : "dial.choose", { name })}>
        <GaugeIcon size={16} />
        <span>{name}</span>
        {phrase && <EditIcon size={14} />}
        <ChevronIcon size={14} />
      </DropdownMenu.Trigger>
      <DropdownMenu.Portal>
        <DropdownMenu.Content className="menu dial-menu" align="start" sideOffset={6} collisionPadding={12}>
          <DropdownMenu.Label className="menu-note">{t("dial.meaning")}</DropdownMenu.Label>
          <DropdownMenu.RadioGroup value={String(dial)} onValueChange={(value) => void setDial(value === "null" ? null : Number(value)).catch(toastError)}>
            {stops.map((stop) => (
              <DropdownMenu.RadioItem key={String(stop)} value={String(stop)} className="menu-item">
                <span className="model-name">{stop === null ? t("dial.off") : percent(stop)}</span>
                <small>{t(`dial.notes.${stop === null ? "off" : stop * 100}`)}</small>
              </DropdownMenu.RadioItem>
            ))}
          </DropdownMenu.RadioGroup>
          {phrase !== null && (
            <>
              <DropdownMenu.Separator className="menu-line" />
              <DropdownMenu.CheckboxItem className="menu-item check" checked={phrase} onSelect={(event) => event.preventDefault()} onCheckedChange={onPhrase}>
                <span className="tick">
                  <DropdownMenu.ItemIndicator>
                    <CheckIcon size={14} />
                  </DropdownMenu.ItemIndicator>
                </span>
                <span>{t("phrase.name")}</span>
              </DropdownMenu.CheckboxItem>
              <DropdownMenu.Label className="menu-note">{t("phrase.meaning")}</DropdownMenu.Label>
            </>
          )}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  );
}
