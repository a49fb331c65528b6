// The picture before and after, with a slider between them.
import { find } from "./elements";
import { Painter } from "./painter";
import type { Picture } from "./picture";
import type { Ply } from "./compositing";
import { ply } from "./picture";
import type { Sheet } from "./sheet";
import type { Studio } from "./studio";

type What = "" | "drawn" | "unlit" | "blended";

export function showComparison(studio: Studio, sheet: Sheet): void {
  const what = find("compare-with", HTMLSelectElement);
  const slider = find("divider", HTMLInputElement);
  const { frame } = sheet;
  const painter = new Painter(sheet);
  const update = (): void => {
    const picture = studio.picture.value;
    const plies = picture === null ? [] : before(picture, what.value as What);
    frame.hidden = slider.hidden = picture === null || plies.length === 0 || !picture.isOver;
    if (picture === null || frame.hidden) return;
    painter.paintPlies(picture.job, picture.width, picture.height, plies);
    frame.style.clipPath = `inset(0 ${100 - Number(slider.value)}% 0 0)`;
  };
  what.onchange = slider.oninput = update;
  studio.picture.watch(update);
}

function before(picture: Picture, what: What): Ply[] {
  const shown = picture.layers.filter((layer) => layer.visible);
  if (what === "drawn") return picture.drawn;
  if (what === "unlit") return shown.filter(({ role }) => role !== "shadow" && role !== "light").flatMap((layer) => ply(layer));
  if (what === "blended") return picture.layers.filter(({ role }) => role === "blended").flatMap((layer) => ply(layer));
  return [];
}
