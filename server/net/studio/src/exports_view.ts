// Buttons that make a file of the picture.
import type { Editor } from "./editor";
import { find } from "./elements";
import { t } from "./language";
import { verb } from "./sources";
import type { Format, Studio } from "./studio";

const FORMATS: Format[] = ["psd", "ora", "zip", "png"];
const NAMES: Record<Format, string> = { psd: "PSD", ora: "ORA", zip: t("PNGs"), png: "PNG" };

export function showExports(studio: Studio, editor: Editor): void {
  const buttons = FORMATS.map((format) => [format, find(`export-${format}`, HTMLButtonElement)] as const);
  for (const [format, button] of buttons) button.onclick = () => (studio.picture.value?.fromFile ? explain() : studio.export(format));
  /** What was read from a file or begun here is no job of the server, which makes the files. */
  const explain = (): void => {
    const remedy = { label: verb(studio.picture.value!), act: () => void editor.draw() };
    studio.notices.say({ kind: "problem", text: t("Only what is drawn can be saved as a file. Draw this picture first."), remedy });
  };
  const update = (): void => {
    const ready = editor.canEdit && studio.link.value === "open";
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
