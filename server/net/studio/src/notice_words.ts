// Notices in the language of the page: the protocol names each sentence, and its values are put into ours. The server's own
// text, which is English, is shown in English, and for sentences of a later version.
import { joined, language, t } from "./language";
import type { Sentence } from "./protocol";

const SENTENCES: Readonly<Record<string, string>> = {
  demo_size: t("This demo model draws at {size} px."),
  demo_size_enlarged: t("This demo model draws at {size} px, and the picture is enlarged."),
  word_unknown: t("This model does not know the word “{word}”."),
  word_unknown_one_like_it: t("This model does not know the word “{word}”; try “{first}”."),
  word_unknown_two_like_it: t("This model does not know the word “{word}”; try “{first}” or “{second}”."),
  word_unknown_three_like_it: t("This model does not know the word “{word}”; try “{first}” or “{second}” or “{third}”."),
  prompt_truncated: t("The model reads only the beginning of “{prompt}”."),
  syntax_ignored: t("“{words}” is not supported and was ignored."),
  lora_missing: t("There is no LoRA “{name}”; it was left out."),
  lora_left_out: t("The LoRA “{name}” was left out."),
  inversion_missing: t("There is no textual inversion “{name}”; it was left out."),
  inversion_left_out: t("The textual inversion “{name}” was left out."),
  inversion_read_as_words: t("The textual inversion “{name}” is not used, and its name is read as words."),
  inversion_of_lora_left_out: t("The textual inversion “{name}” in {file} is not for SDXL; it was left out."),
  inversion_for_older_model: t("It is for Stable Diffusion 1 or 2."),
  inversion_not_for_sdxl: t("Its tensors are not those of a textual inversion for SDXL."),
  where_searched: t("“layerfusion models show NAME” lists the folders that are searched."),
  reason: t("Reason: {reason}"),
  weights_left_out: t("{file}: {count} of its tensors are left out, which SDXL has no use for (first: {first})."),
  equal_distances: t("{sampler} runs with equal distances instead, because this model begins at pure noise."),
  one_part_at_a_time: t("Memory ran out; drawing continues with one part of the model at a time on the device."),
  smaller_pieces: t("Memory ran out again; drawing continues in smaller pieces, which is slower."),
  foreground_fills_image: t("The foreground fills the whole image."),
  foreground_at_border: t("The foreground covers the image's border."),
  backdrop_not_grey: t("The foreground was not drawn before a plain grey backdrop."),
  checkpoint_advice: t("This checkpoint may have been fine-tuned too far from SDXL for LayerDiffuse; try one closer to the base model."),
  object_redrawn: t("Blended shows another object than “{layer}”, so Shadow and Light leave “{layer}” as it is."),
  foregrounds_placed: t("The foregrounds without a box are drawn side by side; give each a box to place it yourself."),
  few_steps_no_negative:
    t("Few steps are made to draw without guidance, so that negative prompts have no effect; the preset “exact” draws in all steps, with guidance."),
  few_steps_high_guidance:
    t("Few steps are made to draw without guidance, and {scale} exaggerates colours and contrast; the preset “exact” draws in all steps, with guidance."),
};

/** Sentences of the server in the language of the page, and the tag of the language if it is another one. */
export function inWords(text: string, sentences: readonly Sentence[] = []): { text: string; lang?: string } {
  const told = sentences.map(say).filter((each) => each !== undefined);
  if (language === "en" || sentences.length === 0 || told.length < sentences.length) return { text, lang: "en" };
  return { text: joined(...told) };
}

/** Undefined if this version does not know the sentence with these values. */
function say({ name, values = [] }: Sentence): string | undefined {
  const text = Object.hasOwn(SENTENCES, name) ? SENTENCES[name] : undefined;
  if (text === undefined) return undefined;
  const given = new Map(values.map((each) => [each.name, each.value]));
  const needed = new Set(Array.from(text.matchAll(/\{(\w+)\}/g), (found) => found[1]!));
  if (needed.size !== given.size || [...needed].some((each) => !given.has(each))) return undefined;
  return text.replace(/\{(\w+)\}/g, (_, value: string) => given.get(value)!);
}
