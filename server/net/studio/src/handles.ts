// The selected foreground on the canvas: moved by dragging, made larger by its corners, or both with the keyboard; and
// boxes in which foregrounds are to be drawn.
import type { Editor } from "./editor";
import { find, make } from "./elements";
import { t } from "./language";
import { shownName } from "./layer_names";
import type { Layer, Picture } from "./picture";
import type { PromptForm } from "./prompt_form";
import { SEEN } from "./pixels";
import { outline } from "./sources";
import type { Drag, Point, Viewport } from "./viewport";

const REACH = 12; // pixels of the screen around a corner
const CORNERS = ["nw", "ne", "sw", "se"] as const;
const LEAST_BOX = 16; // pixels of the picture, as the engine asks for
const STEP = 1.05;
const TOGETHER = 600; // ms; keys that follow each other faster are one change

type Corner = (typeof CORNERS)[number];

export class Handles {
  private readonly frame = find("handles", HTMLDivElement);
  private readonly boxes = find("boxes", HTMLDivElement);
  private boxing = false;
  private sketch: { from: Point; to: Point } | null = null;
  private resizing = false;
  private next: (() => Promise<void>) | null = null;
  private keysUntil = 0;
  private settling = 0;

  constructor(
    private readonly editor: Editor,
    private readonly viewport: Viewport,
    private readonly form: PromptForm,
  ) {
    this.frame.append(...CORNERS.map((corner) => make("span", { className: corner })));
    viewport.tool = {
      grasp: (at) => this.grasp(at),
      click: (at) => this.click(at),
      key: (event) => this.key(event),
      moved: () => this.show(),
    };
    find("add-box", HTMLButtonElement).onclick = () => this.startBox();
  }

  show(): void {
    this.showBoxes();
    const rect = this.sketch === null ? this.selectedOutline() : spanned(this.sketch.from, this.sketch.to);
    this.frame.hidden = rect === null;
    if (rect === null) return;
    const { x, y } = this.viewport.toFrame({ x: rect.left, y: rect.top });
    const { scale } = this.viewport;
    this.frame.style.transform = `translate(${x}px, ${y}px)`;
    this.frame.style.width = `${(rect.right - rect.left) * scale}px`;
    this.frame.style.height = `${(rect.bottom - rect.top) * scale}px`;
    this.frame.classList.toggle("box", this.sketch !== null || this.selected?.source === null);
  }

  /** The places of foregrounds that are still to be drawn. */
  private showBoxes(): void {
    const { picture } = this;
    const empty = picture?.layers.filter((layer) => layer.source === null && layer.role === "foreground" && layer.visible) ?? [];
    const { scale } = this.viewport;
    this.boxes.replaceChildren(
      ...empty.map((layer) => {
        const made = make("div", {}, make("span", { dir: "auto", textContent: layer.prompt || shownName(layer) }));
        const { x, y } = this.viewport.toFrame(layer);
        made.style.transform = `translate(${x}px, ${y}px)`;
        [made.style.width, made.style.height] = [`${layer.width * scale}px`, `${layer.height * scale}px`];
        return made;
      }),
    );
  }

  private get selected(): Layer | null {
    const { picture } = this.editor;
    const layer = picture?.layer(picture.selected);
    return layer !== undefined && layer.role === "foreground" && this.editor.canEdit ? layer : null;
  }

  private selectedOutline(): ReturnType<typeof outline> | null {
    return this.selected === null ? null : outline(this.selected);
  }

  // ---- boxes

  private startBox(): void {
    if (this.editor.picture === null) {
      const { width, height, words } = this.form.canvas;
      this.editor.beginPicture(width, height, words);
    }
    if (!this.editor.canEdit) return;
    this.boxing = true;
    this.viewport.crosshair(true);
    this.viewport.focus();
    find("spoken", HTMLParagraphElement).textContent = t("Draw the place of the new foreground, or press Enter for one in the middle.");
  }

  private endBox(picture: Picture, rect: ReturnType<typeof spanned>): void {
    this.boxing = false;
    this.sketch = null;
    this.viewport.crosshair(false);
    const left = Math.min(Math.max(rect.left, 0), picture.width - LEAST_BOX);
    const top = Math.min(Math.max(rect.top, 0), picture.height - LEAST_BOX);
    const width = Math.max(LEAST_BOX, Math.min(rect.right, picture.width) - left);
    const height = Math.max(LEAST_BOX, Math.min(rect.bottom, picture.height) - top);
    const layer = this.editor.addBox(left, top, width, height);
    document.getElementById(`${layer.key}-prompt`)?.focus();
  }

  private middleBox(picture: Picture): void {
    const { width, height } = picture;
    this.endBox(picture, { left: 0.3 * width, top: 0.3 * height, right: 0.7 * width, bottom: 0.8 * height });
  }

  // ---- pointer

  private grasp(at: Point): Drag | null {
    const { picture } = this.editor;
    if (picture === null || !this.editor.canEdit) return null;
    if (this.boxing) return this.dragBox(picture, at);
    const corner = this.cornerAt(at);
    if (this.selected !== null && corner !== null) return this.dragCorner(this.selected, corner);
    const layer = this.selected !== null && inside(outline(this.selected), at) ? this.selected : layerAt(picture, at);
    if (layer === null) return null;
    this.editor.select(layer.key);
    return this.dragLayer(layer.key, { x: at.x - layer.x, y: at.y - layer.y });
  }

  /** A press without a drag on nothing that can be moved. */
  private click(at: Point): void {
    const { picture } = this.editor;
    if (picture !== null && layerAt(picture, at) === null) this.editor.select(null);
  }

  private dragBox(picture: Picture, from: Point): Drag {
    return {
      move: (to) => {
        this.sketch = { from, to };
        this.show();
      },
      end: () => {
        const drawn = this.sketch === null ? null : spanned(this.sketch.from, this.sketch.to);
        if (drawn === null || drawn.right - drawn.left < LEAST_BOX || drawn.bottom - drawn.top < LEAST_BOX) this.middleBox(picture);
        else this.endBox(picture, drawn);
      },
    };
  }

  private dragLayer(key: string, grip: Point): Drag {
    let begun = false;
    return {
      move: (to) => {
        if (!begun) this.editor.begin();
        begun = true;
        const layer = this.editor.picture?.layer(key);
        if (layer !== undefined) this.editor.moveTo(layer, to.x - grip.x, to.y - grip.y);
      },
      end: () => undefined,
    };
  }

  private dragCorner(layer: Layer, corner: Corner): Drag {
    const before = { ...outline(layer), x: layer.x, y: layer.y, width: layer.width, height: layer.height };
    const fixed = {
      x: corner.endsWith("w") ? before.right : before.left,
      y: corner.startsWith("n") ? before.bottom : before.top,
    };
    this.editor.begin();
    return {
      move: (to) => {
        const wide = Math.abs(to.x - fixed.x) / (before.right - before.left);
        const high = Math.abs(to.y - fixed.y) / (before.bottom - before.top);
        const part = layer.source === null ? { x: wide, y: high } : { x: Math.max(wide, high), y: Math.max(wide, high) };
        this.scale(layer.key, before, fixed, part);
      },
      end: () => this.settleSoon(layer.key, 0),
    };
  }

  /** Scale a layer around a fixed point of the canvas; the newest wish wins. */
  private scale(
    key: string,
    before: { x: number; y: number; width: number; height: number },
    fixed: Point,
    part: { x: number; y: number },
  ): void {
    const wish = async (): Promise<void> => {
      const layer = this.editor.picture?.layer(key);
      if (layer === undefined) return;
      const [x, y] = [fixed.x + (before.x - fixed.x) * part.x, fixed.y + (before.y - fixed.y) * part.y];
      await this.editor.resizeTo(layer, x, y, before.width * part.x, before.height * part.y);
    };
    this.next = wish;
    if (!this.resizing) void this.run();
  }

  private async run(): Promise<void> {
    this.resizing = true;
    while (this.next !== null) {
      const wish = this.next;
      this.next = null;
      await wish();
    }
    this.resizing = false;
  }

  private settleSoon(key: string, wait: number): void {
    clearTimeout(this.settling);
    this.settling = window.setTimeout(() => {
      const layer = this.editor.picture?.layer(key);
      if (this.resizing) this.settleSoon(key, 50);
      else if (layer !== undefined) void this.editor.settle(layer);
    }, wait);
  }

  private cornerAt(at: Point): Corner | null {
    const rect = this.selectedOutline();
    if (rect === null) return null;
    const reach = REACH / this.viewport.scale;
    const found = CORNERS.find((corner) => {
      const x = corner.endsWith("w") ? rect.left : rect.right;
      const y = corner.startsWith("n") ? rect.top : rect.bottom;
      return Math.abs(at.x - x) <= reach && Math.abs(at.y - y) <= reach;
    });
    return found ?? null;
  }

  // ---- keyboard

  private key(event: KeyboardEvent): boolean {
    const { picture, editor } = this;
    if (event.ctrlKey || event.metaKey || event.altKey || picture === null) return false;
    if (this.boxing && (event.key === "Enter" || event.key === "Escape")) {
      if (event.key === "Enter") this.middleBox(picture);
      else this.cancelBox();
      return true;
    }
    const layer = this.selected;
    if (layer === null) return false;
    const by = event.shiftKey ? 10 : 1;
    const arrows: Record<string, [number, number]> = {
      ArrowLeft: [-by, 0],
      ArrowRight: [by, 0],
      ArrowUp: [0, -by],
      ArrowDown: [0, by],
    };
    const arrow = arrows[event.key];
    if (arrow !== undefined) {
      this.beginKeys();
      editor.moveTo(layer, layer.x + arrow[0], layer.y + arrow[1]);
    } else if (event.key === "+" || event.key === "=" || event.key === "-") {
      this.beginKeys();
      const part = event.key === "-" ? 1 / STEP : STEP;
      const { left, top, right, bottom } = outline(layer);
      const { x, y, width, height } = layer;
      this.scale(layer.key, { x, y, width, height }, { x: (left + right) / 2, y: (top + bottom) / 2 }, { x: part, y: part });
      this.settleSoon(layer.key, TOGETHER);
    } else if (event.key === "Escape") {
      editor.select(null);
    } else if (event.key === "Delete") {
      editor.remove(layer);
    } else {
      return false;
    }
    return true;
  }

  private get picture(): Picture | null {
    return this.editor.picture;
  }

  private cancelBox(): void {
    this.boxing = false;
    this.sketch = null;
    this.viewport.crosshair(false);
    this.show();
  }

  private beginKeys(): void {
    const now = performance.now();
    if (now > this.keysUntil) this.editor.begin();
    this.keysUntil = now + TOGETHER;
  }
}

function spanned(from: Point, to: Point): { left: number; top: number; right: number; bottom: number } {
  return {
    left: Math.min(from.x, to.x),
    top: Math.min(from.y, to.y),
    right: Math.max(from.x, to.x),
    bottom: Math.max(from.y, to.y),
  };
}

function inside(rect: ReturnType<typeof spanned>, at: Point): boolean {
  return at.x >= rect.left && at.x < rect.right && at.y >= rect.top && at.y < rect.bottom;
}

/** The topmost foreground that can be seen at a point; a box that is still empty counts. */
function layerAt(picture: Picture, at: Point): Layer | null {
  for (const layer of [...picture.layers].reverse()) {
    if (layer.role !== "foreground" || !layer.visible || !inside(outline(layer), at)) continue;
    if (layer.source === null) return layer;
    const { crop } = layer.source;
    const [x, y] = [Math.floor(at.x) - layer.x - crop.x, Math.floor(at.y) - layer.y - crop.y];
    if (crop.data[4 * (y * crop.width + x) + 3]! >= SEEN) return layer;
  }
  return null;
}
