// The buttons below and above the list of layers: draw, follow, undo, add a file; and files that are dropped on the page.
import type { Editor } from "./editor";
import { find } from "./elements";
import { icon } from "./icons";
import { verb } from "./sources";
import type { Studio } from "./studio";

export function showEditing(studio: Studio, editor: Editor): void {
  const draw = find("draw", HTMLButtonElement);
  const live = find("live", HTMLInputElement);
  const undo = find("undo", HTMLButtonElement);
  const redo = find("redo", HTMLButtonElement);
  const box = find("add-box", HTMLButtonElement);
  const chosen = find("file", HTMLInputElement);
  undo.replaceChildren(icon("undo"));
  redo.replaceChildren(icon("redo"));
  draw.onclick = () => void editor.draw();
  undo.onclick = () => editor.undo();
  redo.onclick = () => editor.redo();
  live.onchange = () => {
    studio.live.enabled = live.checked;
    if (live.checked && editor.picture?.unsettled) studio.live.follow(editor.picture);
    if (!live.checked) studio.live.end();
  };
  find("add-file", HTMLButtonElement).onclick = () => chosen.click();
  chosen.onchange = () => {
    void editor.addFiles([...(chosen.files ?? [])]);
    chosen.value = "";
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLInputElement && event.target.type !== "range" && event.target.type !== "radio";
    if (!(event.ctrlKey || event.metaKey) || typing || event.target instanceof HTMLTextAreaElement) return;
    const key = event.key.toLowerCase();
    if (key === "z" && !event.shiftKey) editor.undo();
    else if (key === "y" || (key === "z" && event.shiftKey)) editor.redo();
    else return;
    event.preventDefault();
  });
  takeDrops(editor);
  const update = (): void => {
    const picture = studio.picture.value;
    const ready = editor.canEdit && studio.link.value === "open";
    find("act", HTMLDivElement).hidden = picture === null || picture.phase !== "finished";
    find("add-file", HTMLButtonElement).disabled = studio.link.value !== "open";
    draw.disabled = !ready;
    box.disabled = !ready && !(picture === null && studio.link.value === "open");
    undo.disabled = !editor.canUndo || !ready;
    redo.disabled = !editor.canRedo || !ready;
    if (picture !== null) draw.textContent = verb(picture);
    // One button is the next step: what is arranged is drawn with this one, and the other one draws the form alone.
    const isNext = picture?.phase === "finished" && (picture.changed || picture.unsettled);
    draw.classList.toggle("main", isNext);
    find("generate", HTMLButtonElement).classList.toggle("main", !isNext);
  };
  studio.picture.watch(update);
  studio.link.watch(update);
}

/** Files may be dropped anywhere, and pictures pasted. The browser would leave the page for a file or a link. */
function takeDrops(editor: Editor): void {
  let depth = 0;
  const mark = (): boolean => document.body.classList.toggle("dropping", depth > 0);
  const has = (event: DragEvent): boolean => event.dataTransfer?.types.includes("Files") ?? false;
  document.addEventListener("dragenter", (event) => {
    if (!has(event)) return;
    depth += 1;
    mark();
  });
  document.addEventListener("dragleave", (event) => {
    if (!has(event)) return;
    depth = Math.max(0, depth - 1);
    mark();
  });
  document.addEventListener("dragover", (event) => {
    if (has(event) || !isField(event.target)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!has(event) && isField(event.target)) return;
    event.preventDefault();
    if (!has(event)) return;
    depth = 0;
    mark();
    void editor.addFiles([...event.dataTransfer!.files]);
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    void editor.addFiles(files);
  });
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement;
}
