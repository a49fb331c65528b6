// What a model with a small vocabulary knows: unknown words and completions. The rules are those of
// engine/models/catalog/vocabulary.py.
import type { ModelInfo } from "./protocol";

const COMMON = new Set(
  (
    "a an the and or of on in at with to by from for under over before behind beside near into its his her some " +
    "one very front is are"
  ).split(" "),
);
const MOST = 6;

/** A word that the model does not know, and where it is in the prompt. */
export interface UnknownWord {
  word: string;
  start: number;
  end: number;
}

export function unknownWords(model: ModelInfo | undefined, prompt: string): UnknownWord[] {
  const known = new Set(phrases(model).flatMap((phrase) => phrase.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []));
  if (known.size === 0) return [];
  const found = [...prompt.matchAll(/\p{L}+/gu)].filter(({ 0: word }) => {
    const lower = word.toLowerCase();
    return !COMMON.has(lower) && !known.has(lower) && !known.has(lower.replace(/s$/, ""));
  });
  return found.map(({ 0: word, index }) => ({ word, start: index, end: index + word.length }));
}

/** Phrases that begin with what stands before the caret, or of which a word does; and from where they replace it. */
export function completions(model: ModelInfo | undefined, prompt: string, caret: number): { from: number; phrases: string[] } {
  const before = prompt.slice(0, caret);
  const part = before.slice(before.search(/[^,;.()]*$/)).trimStart();
  const words = part.split(/\s+/);
  // The longest ending of the part that some phrase goes on from.
  for (let skip = 0; skip < words.length; skip++) {
    const ending = words.slice(skip).join(" ").toLowerCase();
    if (ending.length < 2 || COMMON.has(ending)) continue;
    const fits = phrases(model).filter((phrase) => {
      const lower = phrase.toLowerCase();
      return lower !== ending && (lower.startsWith(ending) || lower.includes(` ${ending}`));
    });
    fits.sort((one, other) => Number(!one.startsWith(ending)) - Number(!other.startsWith(ending)));
    if (fits.length > 0) return { from: caret - ending.length, phrases: fits.slice(0, MOST) };
  }
  return { from: caret, phrases: [] };
}

function phrases(model: ModelInfo | undefined): string[] {
  return (model?.vocabulary ?? []).flatMap((kind) => kind.phrases);
}
