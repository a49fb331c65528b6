// Puts the studio together and signs the browser in.
import { CompareView } from "./compare_view";
import { showComparison } from "./comparison";
import { DraftsView } from "./drafts_view";
import { showEditing } from "./editing_view";
import { Editor } from "./editor";
import { find } from "./elements";
import { showExports } from "./exports_view";
import { Handles } from "./handles";
import { HistoryView } from "./history_view";
import { LANGUAGES, language, speak, t, translatePage } from "./language";
import { shownName } from "./layer_names";
import { LayersPanel } from "./layers_panel";
import { MasksView } from "./masks_view";
import { recall } from "./memory";
import { showMessages } from "./messages_view";
import { Painter } from "./painter";
import { ProgressBar } from "./progress_bar";
import { PromptForm, showOrigin } from "./prompt_form";
import { QueueView } from "./queue_view";
import { codeFromAddress, signIn, signOut } from "./sign_in";
import { Sheet } from "./sheet";
import { Studio } from "./studio";
import { showUnknownWords } from "./unknown_words";
import { VariantsStrip } from "./variants_strip";
import { Viewport } from "./viewport";

translatePage();
showLanguages();
const studio = new Studio();
const editor = new Editor(studio);
const form = new PromptForm(studio);
studio.settings = () => form.settings;
showOrigin(studio, form, editor);
showUnknownWords(studio, editor, form);
new ProgressBar(studio);
new LayersPanel(studio, editor);
new HistoryView(studio);
new DraftsView(studio);
new VariantsStrip(studio);
new QueueView(studio);
new MasksView(studio);
new CompareView(studio);
showMessages(studio);
showExports(studio, editor);
showEditing(studio, editor);
const canvas = new Sheet(find("canvas", HTMLDivElement));
const before = new Sheet(find("before", HTMLDivElement));
showComparison(studio, before);
reopen();
showPicture();
// Browsers also report what is no fault, such as a ResizeObserver that goes on in the next frame; it has no error.
window.addEventListener("error", (event) => event.error != null && studio.notices.fault());
window.addEventListener("unhandledrejection", () => studio.notices.fault());
showSignIn(form);
void begin(codeFromAddress());

async function begin(code: string | null): Promise<void> {
  const done = code === null || (await signIn(code).catch(() => false));
  find("wrong-code", HTMLParagraphElement).hidden = done;
  studio.open();
}

function showLanguages(): void {
  const chooser = find("language", HTMLSelectElement);
  chooser.append(...Object.entries(LANGUAGES).map(([tag, name]) => new Option(name, tag, false, tag === language)));
  for (const option of chooser.options) option.lang = option.value;
  chooser.onchange = () => speak(chooser.value);
}

/** A draft that was shown before a reload is shown again. */
function reopen(): void {
  studio.history.watch(() => {
    const edits = studio.link.value === "open" && studio.picture.value === null ? studio.arrangements.of(recall().job) : undefined;
    if (edits?.fromFile) studio.openDraft(edits);
  });
}

function showPicture(): void {
  const painter = new Painter(canvas);
  const viewport = new Viewport(canvas, before);
  const handles = new Handles(editor, viewport, form);
  let shown = "";
  let restored = recall().job; // after a reload, the page stays where it was
  studio.picture.watch((picture) => {
    document.body.classList.toggle("empty", picture === null);
    if (picture === null) return;
    painter.paint(picture);
    canvas.frame.setAttribute("aria-label", describe(picture.title, picture.seen.map(shownName)));
    if (shown !== picture.job) viewport.fit();
    // On a phone, the history is far below the picture.
    if (shown !== picture.job && picture.job !== restored) find("viewport", HTMLDivElement).scrollIntoView({ block: "nearest" });
    [shown, restored] = [picture.job, null];
    handles.show();
  });
}

function describe(title: string, layers: string[]): string {
  return `${title || t("The picture")}; ${layers.length === 0 ? t("no layer yet") : t("shown: {layers}", { layers: layers.join(", ") })}`;
}

function showSignIn(desk: PromptForm): void {
  let known: string | null = null;
  const form = find("signin", HTMLFormElement);
  const code = find("code", HTMLInputElement);
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void begin(code.value);
    code.value = "";
  });
  find("signout", HTMLButtonElement).onclick = () => {
    void signOut().then(() => {
      studio.close();
      desk.clear();
    });
  };
  studio.link.watch((link) => {
    const out = link === "signed out";
    form.hidden = !out;
    find("desk", HTMLElement).hidden = out;
    find("signout", HTMLButtonElement).hidden = out;
    if (out) code.focus();
  });
  studio.welcome.watch((welcome) => {
    const user = welcome?.user ?? "";
    if (known !== null && known !== user) {
      studio.forgetAll();
      desk.clear();
    }
    if (welcome !== null) known = user;
    find("who", HTMLSpanElement).textContent = user === "" ? "" : t("Signed in as {user}", { user });
  });
}
