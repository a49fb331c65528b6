// Buttons that make a file of the picture.
import { find } from "./elements";
import { t } from "./language";
import type { Format, Studio } from "./studio";

const FORMATS: Format[] = ["psd", "ora", "zip", "png"];
const NAMES: Record<Format, string> = { psd: "PSD", ora: "ORA", zip: t("PNGs"), png: "PNG" };

export function showExports(studio: Studio): void {
  const buttons = FORMATS.map((format) => [format, find(`export-${format}`, HTMLButtonElement)] as const);
  for (const [format, button] of buttons) button.onclick = () => studio.export(format);
  const update = (): void => {
    const picture = studio.picture.value;
    // What was only read from a file is no job of the server.
    const ready = picture?.phase === "finished" && !picture.fromFile && studio.link.value === "open";
    for (const [format, button] of buttons) {
      const busy = studio.exporting.value === format;
      button.disabled = !ready || studio.exporting.value !== null;
      button.textContent = busy ? t("Making it…") : NAMES[format];
    }
  };
  studio.picture.watch(update);
  studio.link.watch(update);
  studio.exporting.watch(update);
}
