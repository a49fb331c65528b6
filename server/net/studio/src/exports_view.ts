// Buttons that make a file of the picture.
import { find } from "./elements";
import { t } from "./language";
import type { Format, Studio } from "./studio";

const FORMATS: Format[] = ["psd", "ora", "png"];

export function showExports(studio: Studio): void {
  const buttons = FORMATS.map((format) => [format, find(`export-${format}`, HTMLButtonElement)] as const);
  for (const [format, button] of buttons) button.onclick = () => studio.export(format);
  const update = (): void => {
    const ready = studio.picture.value?.phase === "finished" && studio.link.value === "open";
    for (const [format, button] of buttons) {
      const busy = studio.exporting.value === format;
      button.disabled = !ready || studio.exporting.value !== null;
      button.textContent = busy ? t("Making it…") : format.toUpperCase();
    }
  };
  studio.picture.watch(update);
  studio.link.watch(update);
  studio.exporting.watch(update);
}
