// What helps when the model does not know a word of a picture: the way to it, in the form or in the prompt of a layer.
import type { Editor } from "./editor";
import { t } from "./language";
import type { Picture } from "./picture";
import type { PromptForm } from "./prompt_form";
import { goTo } from "./prompt_help";
import type { Studio } from "./studio";
import { unknownWords } from "./vocabulary";

export function showUnknownWords(studio: Studio, editor: Editor, form: PromptForm): void {
  /** A picture that is still being drawn: its layers have no prompts yet. */
  let awaited: Picture | null = null;
  const go = (picture: Picture | null): void => {
    const layers = (picture?.layers ?? []).flatMap((layer) => {
      const words = unknownWords(studio.model, layer.prompt);
      return words.length === 0 ? [] : [{ layer, words }];
    });
    const words = layers.flatMap((each) => each.words.map(({ word }) => word.toLowerCase()));
    if (form.goTo(new Set(words)) || layers.length === 0) return;
    const { layer, words: found } = layers[0]!;
    editor.select(layer.key);
    const field = document.getElementById(`${layer.key}-prompt`);
    if (field instanceof HTMLTextAreaElement) goTo(field, found[0]!);
  };
  const act = (): void => {
    const picture = studio.picture.value;
    awaited = picture === null || picture.isOver ? null : picture;
    if (awaited === null) go(picture);
    else if (form.goTo(new Set())) awaited = null;
  };
  studio.notices.remedies.set("unknown_words", { label: t("Go to the words"), act });
  studio.picture.watch((picture) => {
    if (awaited === null || (picture === awaited && !awaited.isOver)) return;
    const over = picture === awaited;
    awaited = null;
    if (over) go(picture);
  });
}
