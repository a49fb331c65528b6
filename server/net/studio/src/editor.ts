// What the artist can do with the layers of a picture. Every change can be taken back, and survives a reload.
import { arranged, type Arrangements } from "./arrangements";
import { type Calls, Problem } from "./calls";
import { t } from "./language";
import type { Live } from "./live";
import { opened } from "./opening";
import { asLayer, type Layer, Picture, type Source, type Verb } from "./picture";
import { cropped, stretched } from "./pixels";
import { prepared } from "./preparing";
import type { FileRead, Submit, Welcome } from "./protocol";
import type { Signal } from "./signal";
import { drawnFrom, outline, type Settings } from "./sources";
import { newId } from "./wire";

/** What the editor needs of the studio. */
export interface Desk {
  readonly picture: Signal<Picture | null>;
  readonly welcome: Signal<Welcome | null>;
  readonly calls: Calls;
  readonly live: Live;
  readonly arrangements: Arrangements;
  generate(submit: Submit, title: string, from: Picture): void;
  openPicture(picture: Picture): void;
  settings(): Settings | null;
  complain(text: string): void;
  remark(text: string): void;
}

type State = Pick<Picture, "unsettled" | "changed"> & { layers: Layer[] };

const SMALLEST = 8; // pixels; a layer is not made smaller
const MOST_UNDONE = 100;

export class Editor {
  private readonly past: State[] = [];
  private readonly future: State[] = [];
  private of: Picture | null = null;
  /** How it was before the change that has begun; a field that was only visited changes nothing. */
  private begun: State | null = null;
  private scaling: Promise<unknown> = Promise.resolve();
  private submitting = false;
  private carried: { job: string; layers: Layer[] } | null = null;

  constructor(private readonly desk: Desk) {
    desk.picture.watch((picture) => {
      if (picture === this.of && picture?.phase === this.phase) return;
      const finished = picture !== null && picture.phase === "finished";
      if (picture !== this.of) {
        this.past.length = this.future.length = 0;
        this.begun = null;
        desk.live.end();
      }
      this.of = picture;
      this.phase = picture?.phase;
      if (finished) void this.restore(picture).catch((error: unknown) => this.complain(error));
    });
  }

  private phase: Picture["phase"] | undefined;

  get picture(): Picture | null {
    return this.desk.picture.value;
  }

  /** Whether layers can be changed now. */
  get canEdit(): boolean {
    return this.picture?.phase === "finished" && !this.picture.isRestoring;
  }

  get canUndo(): boolean {
    return this.past.length > 0;
  }

  get canRedo(): boolean {
    return this.future.length > 0;
  }

  select(key: string | null): void {
    const { picture } = this;
    if (picture === null || picture.selected === key) return;
    picture.selected = key;
    this.desk.picture.touch();
  }

  /** Remember how it is, before a change begins. Changes of one gesture or one word are taken back together. */
  begin(): void {
    this.begun = this.picture === null ? null : snapshot(this.picture);
  }

  undo(): void {
    this.travel(this.past, this.future);
  }

  redo(): void {
    this.travel(this.future, this.past);
  }

  private travel(from: State[], to: State[]): void {
    const { picture } = this;
    this.begun = null;
    const state = from.pop();
    if (picture === null || state === undefined) return;
    to.push(snapshot(picture));
    Object.assign(picture, state);
    if (picture.layer(picture.selected) === undefined) picture.selected = null;
    if (!picture.unsettled) picture.following = null;
    this.changed(picture, picture.unsettled);
  }

  /** Change what does not move light: name, blend mode, prompt, seed, verb; eye and opacity of what casts none. */
  set(layer: Layer, changes: Partial<Pick<Layer, "name" | "blend" | "prompt" | "negative" | "seed" | "verb" | "visible" | "opacity">>): void {
    Object.assign(layer, changes);
    const moves = ("visible" in changes || "opacity" in changes) && layer.role === "foreground";
    this.changed(this.picture!, moves && "visible" in changes);
  }

  setVerb(layer: Layer, verb: Verb): void {
    this.begin();
    this.set(layer, { verb });
  }

  /** Move a layer one place up (1) or down (-1). */
  reorder(layer: Layer, by: 1 | -1): void {
    const { layers } = this.picture!;
    const at = layers.indexOf(layer);
    const to = at + by;
    if (at === -1 || to < 0 || to >= layers.length) return;
    this.begin();
    const changed = [...layers];
    [changed[at], changed[to]] = [changed[to]!, layer];
    this.picture!.layers = changed;
    this.changed(this.picture!, false);
  }

  remove(layer: Layer): void {
    const { picture } = this;
    this.begin();
    picture!.layers = picture!.layers.filter((each) => each !== layer);
    if (picture!.selected === layer.key) picture!.selected = null;
    this.changed(picture!, layer.role === "foreground" && layer.source !== null);
  }

  /** Use a layer that was added as background or as foreground. */
  swapRole(layer: Layer): void {
    const picture = this.picture!;
    this.begin();
    const role = layer.role === "background" ? "foreground" : "background";
    const others = picture.layers.filter((each) => each !== layer);
    const below = others.findLastIndex((each) => each.role === "background" || (role === "foreground" && each.role === "foreground"));
    picture.layers = [...others.slice(0, below + 1), { ...layer, role }, ...others.slice(below + 1)];
    this.changed(picture, true);
  }

  /** Something about the picture is shown in another way. */
  refresh(): void {
    this.desk.picture.touch();
  }

  moveTo(layer: Layer, x: number, y: number): void {
    if (layer.x === Math.round(x) && layer.y === Math.round(y)) return;
    [layer.x, layer.y] = [Math.round(x), Math.round(y)];
    this.changed(this.picture!, layer.source !== null);
  }

  /**
   * Give a layer another size. What is seen at once is a preview; the server makes the pixels when `settle` is called.
   *
   * @param x of the whole layer, with its transparent margins; like `y`, `width` and `height`.
   */
  async resizeTo(layer: Layer, x: number, y: number, width: number, height: number): Promise<void> {
    const picture = this.picture!;
    const [wide, high] = [Math.max(SMALLEST, Math.round(width)), Math.max(SMALLEST, Math.round(height))];
    Object.assign(layer, { x: Math.round(x), y: Math.round(y), width: wide, height: high });
    const { original } = layer;
    if (original !== null) {
      const crop = await stretched(original.crop, { x: wide / original.width, y: high / original.height });
      // By now it may have another size, or another picture is shown.
      if (layer.width !== wide || layer.height !== high || this.picture !== picture) return;
      layer.source = { sha256: "", width: wide, height: high, crop };
    }
    this.changed(picture, original !== null);
  }

  /** Have the server make the pixels of a layer that has got another size. */
  settle(layer: Layer): Promise<void> {
    const done = this.scaling.then(() => this.settleNow(layer));
    this.scaling = done.catch(() => undefined);
    return done.catch((error: unknown) => this.complain(error));
  }

  private async settleNow(layer: Layer): Promise<void> {
    const { original, width, height } = layer;
    if (original === null || layer.source?.sha256 !== "") return;
    const sha256 = await this.desk.calls.scale(original.sha256, [original.width, original.height], [width, height]);
    const source = sha256 === original.sha256 ? original : await this.fetch(sha256, width, height);
    if (layer.width !== width || layer.height !== height) return;
    layer.source = source;
    if (this.picture?.layer(layer.key) === layer) this.desk.arrangements.save(this.picture);
    this.desk.picture.touch();
  }

  private async fetch(sha256: string, width: number, height: number): Promise<Source> {
    const bytes = await this.desk.calls.pixels(sha256);
    return { sha256, width, height, crop: await cropped(bytes, width, height) };
  }

  /** Begin a picture of which nothing is drawn yet, from the words of the form. */
  beginPicture(width: number, height: number, words: { background: string; foreground: string; negative: string }): void {
    const picture = new Picture(newId(), width, height, "");
    picture.phase = "finished";
    picture.fromFile = true;
    const whole = { x: 0, y: 0, width, height, layer: "" };
    const behind = asLayer({ ...whole, name: t("Background"), role: "background", prompt: words.background }, null);
    const front = asLayer({ ...whole, name: t("Foreground"), role: "foreground", prompt: words.foreground }, null);
    behind.negative = front.negative = words.negative;
    picture.layers = words.foreground === "" ? [behind] : [behind, front];
    this.openDraft(picture);
  }

  /** Add a foreground that is to be drawn in a box. */
  addBox(x: number, y: number, width: number, height: number): Layer {
    const picture = this.picture!;
    this.begin();
    const number = picture.layers.filter((layer) => layer.role === "foreground").length + 1;
    const name = t("Foreground {number}", { number });
    const size = { x: Math.round(x), y: Math.round(y), width: Math.round(width), height: Math.round(height) };
    const layer = asLayer({ ...size, layer: "", name, role: "foreground" }, null);
    this.insert(picture, layer);
    this.changed(picture, false);
    return layer;
  }

  /** Foregrounds lie on the topmost foreground, else on the background; Shadow and Light stay on top. */
  private insert(picture: Picture, ...added: Layer[]): void {
    const below = picture.layers.findLastIndex((layer) => layer.role === "foreground" || layer.role === "background");
    picture.layers = [...picture.layers.slice(0, below + 1), ...added, ...picture.layers.slice(below + 1)];
    picture.selected = added.at(-1)?.key ?? null;
  }

  /** Read files and take their layers: a layered file, or the first one, is a picture; others are added to it. */
  async addFiles(files: Iterable<File>): Promise<void> {
    for (const file of files) {
      try {
        await this.take(await opened(file, this.desk.calls, this.desk.welcome.value?.limits.file_bytes ?? 0));
      } catch (error) {
        this.complain(error);
      }
    }
  }

  private async take(read: FileRead): Promise<void> {
    const layers: Layer[] = [];
    const origin = read.record === undefined || read.record === "" ? null : (JSON.parse(read.record) as Picture["origin"]);
    for (const placed of read.layers) {
      const layer = asLayer(placed, await this.fetch(placed.layer, placed.width, placed.height));
      const record = origin === null ? -1 : layers.length;
      layers.push({ ...layer, record, negative: origin?.layers[record]?.negative_prompt ?? "" });
    }
    const { picture } = this;
    const flat = read.layers.length === 1 && read.layers[0]!.role === "foreground";
    if (flat && picture !== null && this.canEdit) {
      this.begin();
      this.insert(picture, middle(layers[0]!, picture));
      this.changed(picture, true);
      return;
    }
    const opened = new Picture(newId(), read.width, read.height, read.title);
    opened.phase = "finished";
    opened.fromFile = true;
    opened.origin = origin;
    if (flat) layers[0] = { ...layers[0]!, role: "background", name: layers[0]!.name };
    opened.layers = layers;
    this.openDraft(opened);
  }

  /** Show a picture that only this page has. */
  private openDraft(picture: Picture): void {
    picture.changed = true;
    this.desk.arrangements.save(picture);
    this.desk.openPicture(picture);
  }

  /** Each layer is to be drawn anew from what the picture was made from: its own words and seed. */
  useOrigin(): void {
    const { picture } = this;
    if (picture === null || !this.canEdit) return;
    this.begin();
    for (const layer of picture.layers) {
      const made = drawnFrom(picture, layer);
      if (made === undefined) continue;
      const { prompt, negative_prompt, seed } = made;
      Object.assign(layer, { prompt: prompt ?? "", negative: negative_prompt ?? "", seed: seed ?? "", verb: "redraw" });
    }
    picture.selected = picture.layers.find((layer) => layer.role === "foreground")?.key ?? null;
    this.changed(picture, false);
  }

  /** Have the picture drawn with the layers as they are arranged. */
  async draw(): Promise<void> {
    const { picture } = this;
    const settings = this.desk.settings();
    const limits = this.desk.welcome.value?.limits;
    if (picture === null || settings === null || limits === undefined || !this.canEdit || this.submitting) return;
    this.submitting = true; // a second press means the same
    try {
      for (const layer of picture.layers) void this.settle(layer);
      await this.scaling;
      const submit = await prepared(picture, settings, this.desk.calls, limits);
      const { width, height } = submit;
      const isWhole = width === picture.width && height === picture.height;
      const hidden = picture.layers.filter((layer) => isWhole && layer.role === "foreground" && !layer.visible);
      this.carried = { job: submit.job, layers: hidden };
      this.desk.live.end();
      const prompts = [...submit.foregrounds, submit.background].map((each) => each.prompt);
      this.desk.arrangements.submitted(picture.job, submit.job);
      this.desk.generate(submit, prompts.join(", "), picture);
      if (!isWhole) this.desk.remark(t("It is drawn at {width} × {height}: the server draws at most {most} pixels a side.", { width, height, most: limits.max_side }));
    } catch (error) {
      this.complain(error);
    } finally {
      this.submitting = false;
    }
  }

  // ---- afterwards

  private changed(picture: Picture, moved: boolean): void {
    if (this.begun !== null) {
      this.past.push(this.begun);
      if (this.past.length > MOST_UNDONE) this.past.shift();
      this.future.length = 0;
      this.begun = null;
    }
    picture.changed = true;
    if (moved) {
      picture.unsettled = true;
      this.desk.live.follow(picture);
    }
    this.desk.arrangements.save(picture);
    this.desk.picture.touch();
  }

  private complain(error: unknown): void {
    if (!(error instanceof Problem)) throw error;
    this.desk.complain(error.message);
  }

  /** Arrange the layers of a finished picture as they were the last time, and add those that were carried over. */
  private async restore(picture: Picture): Promise<void> {
    const { arrangements } = this.desk;
    if (this.carried?.job === picture.job) {
      this.insert(picture, ...this.carried.layers.map((layer) => ({ ...layer, index: -1 })));
      picture.changed = this.carried.layers.length > 0;
      this.carried = null;
      picture.selected = null;
      arrangements.save(picture);
      this.desk.picture.touch();
      return;
    }
    const edits = arrangements.of(picture.job);
    if (edits === undefined || picture.changed) return;
    picture.isRestoring = true; // and stays so if the connection is lost: what is kept is not written over
    const drawn = snapshot(picture);
    const fetch = (sha256: string, width: number, height: number): Promise<Source> => this.fetch(sha256, width, height);
    picture.layers = await arranged(picture, edits, fetch, (why) => this.complain(why));
    picture.isRestoring = false;
    picture.changed = true;
    picture.unsettled = edits.unsettled;
    if (!picture.fromFile && picture === this.picture) this.past.push(drawn); // one step back is as it was drawn
    for (const layer of picture.layers) void this.settle(layer);
    this.desk.picture.touch();
  }
}

function snapshot(picture: Picture): State {
  const { unsettled, changed, layers } = picture;
  return { unsettled, changed, layers: layers.map((layer) => ({ ...layer })) };
}

/** A layer that was added, in the middle of the canvas; no larger than the canvas is asked of nobody. */
function middle(layer: Layer, picture: Picture): Layer {
  const { left, top, right, bottom } = outline(layer);
  const [x, y] = [Math.round((picture.width - left - right) / 2), Math.round((picture.height - top - bottom) / 2)];
  return { ...layer, x, y, home: { x, y } };
}
