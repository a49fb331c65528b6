// Zoom and pan of the canvas: wheel and buttons, dragging and pinching, keys.
import { find } from "./elements";
import { onScreen, type Sheet } from "./sheet";

const SMALLEST = 1 / 32;
const LARGEST = 32;
const MARGIN = 24;
const STEP = 1.25;
const PAN = 60;
const STILL = 3; // pixels within which a pressed pointer has not moved

export interface Point {
  x: number;
  y: number;
}

/** What a pressed pointer does instead of panning; points are those of the picture. */
export interface Drag {
  move(to: Point): void;
  end(): void;
}

/** What else pointer and keys do on the picture. */
export interface Tool {
  grasp(at: Point): Drag | null;
  click(at: Point): void;
  key(event: KeyboardEvent): boolean;
  /** The picture lies elsewhere in the frame now. */
  moved(): void;
}

export class Viewport {
  tool: Tool | null = null;
  private readonly frame = find("viewport", HTMLDivElement);
  private readonly label = find("zoom", HTMLOutputElement);
  private readonly drags = new Map<number, Drag>();
  private pressed: Point | null = null;
  scale = 1;
  private origin: Point = { x: 0, y: 0 };
  private fitted = true;
  private readonly pointers = new Map<number, Point>();

  /**
   * @param canvas the picture.
   * @param before what may lie over it, of the same size.
   */
  constructor(
    private readonly canvas: Sheet,
    private readonly before: Sheet,
  ) {
    new ResizeObserver(() => (this.fitted ? this.fit() : this.apply())).observe(this.frame);
    this.frame.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.frame.addEventListener("pointerdown", (event) => this.press(event));
    this.frame.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"] as const) {
      this.frame.addEventListener(end, (event) => this.release(event));
    }
    this.frame.addEventListener("keydown", (event) => this.key(event));
    find("zoom-in", HTMLButtonElement).onclick = () => this.zoom(STEP);
    find("zoom-out", HTMLButtonElement).onclick = () => this.zoom(1 / STEP);
    find("zoom-fit", HTMLButtonElement).onclick = () => this.fit();
  }

  /** Show the whole picture in the middle. */
  fit(): void {
    const { clientWidth, clientHeight } = this.frame;
    const { width, height } = this.canvas;
    if (clientWidth === 0 || clientHeight === 0) return;
    this.scale = Math.min((clientWidth - 2 * MARGIN) / width, (clientHeight - 2 * MARGIN) / height, LARGEST);
    this.origin = { x: (clientWidth - width * this.scale) / 2, y: (clientHeight - height * this.scale) / 2 };
    this.fitted = true;
    this.apply();
  }

  private zoom(factor: number, at: Point = this.middle()): void {
    const scale = Math.min(Math.max(this.scale * factor, SMALLEST), LARGEST);
    const actual = scale / this.scale;
    this.origin = { x: at.x - (at.x - this.origin.x) * actual, y: at.y - (at.y - this.origin.y) * actual };
    this.scale = scale;
    this.fitted = false;
    this.apply();
  }

  private pan(x: number, y: number): void {
    this.origin = { x: this.origin.x + x, y: this.origin.y + y };
    this.fitted = false;
    this.apply();
  }

  private apply(): void {
    const { clientWidth, clientHeight } = this.frame;
    const [width, height] = [this.canvas.width * this.scale, this.canvas.height * this.scale];
    // At least a corner of the picture stays in sight.
    this.origin.x = Math.min(Math.max(this.origin.x, MARGIN - width), clientWidth - MARGIN);
    this.origin.y = Math.min(Math.max(this.origin.y, MARGIN - height), clientHeight - MARGIN);
    // The corner lies on a pixel of the screen, wherever the frame does.
    const box = this.frame.getBoundingClientRect();
    const [x, y] = [onScreen(box.left + this.origin.x) - box.left, onScreen(box.top + this.origin.y) - box.top];
    const corner = `translate(${x}px, ${y}px)`;
    for (const sheet of [this.canvas, this.before]) {
      sheet.frame.style.transform = corner;
      sheet.frame.classList.toggle("pixels", this.scale * devicePixelRatio >= 3);
      sheet.place(this.scale);
    }
    // What lies over the picture follows it.
    this.frame.style.setProperty("--placed", `${corner} scale(${this.scale})`);
    this.tool?.moved();
    this.label.textContent = `${Math.round(100 * this.scale)} %`;
  }

  private middle(): Point {
    return { x: this.frame.clientWidth / 2, y: this.frame.clientHeight / 2 };
  }

  private inFrame(event: MouseEvent): Point {
    const box = this.frame.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    this.zoom(Math.exp(-Math.sign(event.deltaY) * Math.min(Math.abs(event.deltaY), 60) * 0.004), this.inFrame(event));
  }

  private press(event: PointerEvent): void {
    const at = this.inFrame(event);
    this.frame.setPointerCapture(event.pointerId);
    const drag = this.drags.size + this.pointers.size === 0 ? this.tool?.grasp(this.toPicture(at)) : null;
    this.pressed = at;
    if (drag) this.drags.set(event.pointerId, drag);
    else this.pointers.set(event.pointerId, at);
  }

  private drag(event: PointerEvent): void {
    const now = this.inFrame(event);
    if (this.pressed !== null && Math.hypot(now.x - this.pressed.x, now.y - this.pressed.y) < STILL) return;
    this.pressed = null;
    this.drags.get(event.pointerId)?.move(this.toPicture(now));
    const before = this.pointers.get(event.pointerId);
    if (before === undefined) return;
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other === undefined) {
      this.pan(now.x - before.x, now.y - before.y);
    } else {
      const spread = (point: Point): number => Math.max(Math.hypot(point.x - other.x, point.y - other.y), 1);
      this.zoom(spread(now) / spread(before), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    }
  }

  private release(event: PointerEvent): void {
    const drag = this.drags.get(event.pointerId);
    this.drags.delete(event.pointerId);
    this.pointers.delete(event.pointerId);
    drag?.end();
    if (drag === undefined && this.pressed !== null) this.tool?.click(this.toPicture(this.pressed));
    this.pressed = null;
  }

  /** A point of the frame on the picture. */
  private toPicture(point: Point): Point {
    return { x: (point.x - this.origin.x) / this.scale, y: (point.y - this.origin.y) / this.scale };
  }

  /** A point of the picture in the frame. */
  toFrame(point: Point): Point {
    return { x: this.origin.x + point.x * this.scale, y: this.origin.y + point.y * this.scale };
  }

  crosshair(on: boolean): void {
    this.frame.classList.toggle("boxing", on);
  }

  focus(): void {
    this.frame.focus();
  }

  private key(event: KeyboardEvent): void {
    if (this.tool?.key(event)) return event.preventDefault();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions: Record<string, () => void> = {
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      "0": () => this.fit(),
      "1": () => this.zoom(1 / this.scale),
      ArrowLeft: () => this.pan(PAN, 0),
      ArrowRight: () => this.pan(-PAN, 0),
      ArrowUp: () => this.pan(0, PAN),
      ArrowDown: () => this.pan(0, -PAN),
    };
    const action = actions[event.key];
    if (action === undefined) return;
    event.preventDefault();
    action();
  }
}
