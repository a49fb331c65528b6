// Pictures that are not drawn yet, above the history: those that were begun with boxes or read from a file.
import { type Edits } from "./arrangements";
import { compositeOver } from "./compositing";
import { find, make } from "./elements";
import { icon } from "./icons";
import { t } from "./language";
import type { Picture } from "./picture";
import { stretched } from "./pixels";
import { outline } from "./sources";
import type { Studio } from "./studio";

const SIDE = 192; // longer side of a miniature, in pixels

export class DraftsView {
  private readonly list = find("drafts", HTMLUListElement);
  private readonly question = find("draft-question", HTMLDialogElement);
  private readonly rows = new Map<string, { made: string; row: HTMLLIElement }>();
  /** Draft -> what it looked like when it was shown the last time. */
  private readonly miniatures = new Map<string, HTMLCanvasElement>();
  private shown: Picture | null = null;
  private chosen = "";

  constructor(private readonly studio: Studio) {
    studio.arrangements.drafts.watch(() => this.update());
    studio.picture.watch((picture) => {
      if (picture === this.shown) return;
      if (this.shown?.fromFile) void this.remember(this.shown);
      this.shown = picture;
      this.mark();
    });
    find("draft-yes", HTMLButtonElement).onclick = () => {
      studio.dropDraft(this.chosen);
      this.question.close();
    };
    find("draft-no", HTMLButtonElement).onclick = () => this.question.close();
  }

  private update(): void {
    const drafts = this.studio.arrangements.drafts.value;
    const at = [...this.list.children].findIndex((row) => row.contains(document.activeElement));
    // A row is made anew only if it says something else: the focus stays where it is.
    const rows = drafts.map((edits) => {
      const made = titleOf(edits);
      const known = this.rows.get(edits.job);
      if (known?.made === made) return known.row;
      const row = this.row(edits.job, made);
      this.rows.set(edits.job, { made, row });
      return row;
    });
    for (const job of [...this.rows.keys()]) {
      if (drafts.some((each) => each.job === job)) continue;
      this.rows.delete(job);
      this.miniatures.delete(job);
    }
    this.list.hidden = rows.length === 0;
    if (rows.length === this.list.children.length && rows.every((row, place) => this.list.children[place] === row)) return;
    const focused = document.activeElement;
    this.list.replaceChildren(...rows);
    if (focused instanceof HTMLElement && focused.isConnected) focused.focus();
    else if (at !== -1) (rows[Math.min(at, rows.length - 1)]?.querySelector("button") ?? find("viewport", HTMLDivElement)).focus();
    this.mark();
  }

  private row(job: string, title: string): HTMLLIElement {
    const open = make("button", { type: "button", className: "open", title });
    const place = make("span", { className: "thumbnail" }, this.miniatures.get(job) ?? icon("box"));
    open.append(place, make("span", { className: "title", dir: "auto", textContent: title }));
    open.append(make("span", { className: "state", textContent: t("not drawn yet") }));
    open.onclick = () => {
      const edits = this.studio.arrangements.of(job);
      if (edits !== undefined && this.studio.picture.value?.job !== job) this.studio.openDraft(edits);
    };
    const remove = make("button", { type: "button", className: "icon delete", title: t("Delete") }, icon("delete"));
    remove.setAttribute("aria-label", `${t("Delete")}: ${title}`);
    remove.onclick = () => {
      this.chosen = job;
      find("draft-what", HTMLParagraphElement).textContent = title;
      this.question.showModal();
    };
    return make("li", {}, open, make("span", { className: "row-tools" }, remove));
  }

  private mark(): void {
    const job = this.studio.picture.value?.job;
    for (const [each, { row }] of this.rows) row.querySelector("button")!.setAttribute("aria-current", String(each === job));
  }

  private async remember(picture: Picture): Promise<void> {
    const made = await miniature(picture);
    const row = this.rows.get(picture.job)?.row;
    if (row === undefined) return;
    this.miniatures.set(picture.job, made);
    row.querySelector(".thumbnail")!.replaceChildren(made);
  }
}

/** What a draft is called: the name of its file, else what is to be drawn, the topmost layer first. */
function titleOf(edits: Edits): string {
  const words = edits.layers.map((layer) => layer.prompt.trim()).filter((prompt) => prompt !== "");
  return edits.title || words.reverse().join(", ") || t("Picture");
}

/** A small picture of the layers; boxes in which something is to be drawn are outlined. */
async function miniature(picture: Picture): Promise<HTMLCanvasElement> {
  const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const [width, height] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = make("canvas", { width: width!, height: height! });
  canvas.setAttribute("aria-hidden", "true");
  const image = new ImageData(width!, height!);
  for (const ply of picture.plies) {
    const crop = await stretched(ply.crop, { x: scale, y: scale });
    const place = { x: Math.round(ply.x * scale), y: Math.round(ply.y * scale) };
    compositeOver(image.data, { left: 0, top: 0, right: width!, bottom: height! }, { ...ply, ...place, crop });
  }
  const context = canvas.getContext("2d")!;
  context.putImageData(image, 0, 0);
  context.setLineDash([4, 3]);
  for (const layer of picture.layers) {
    if (layer.source !== null || layer.role !== "foreground" || !layer.visible) continue;
    const { left, top, right, bottom } = outline(layer);
    context.strokeRect(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale);
  }
  return canvas;
}
