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

/** A phrase, and where it begins in the prompt: it replaces what stands from there to the caret. */
export interface Completion {
  phrase: string;
  from: number;
}

/** Phrases that go on from what stands before the caret, or of which a word does; none if a phrase is complete there. */
export function completions(model: ModelInfo | undefined, prompt: string, caret: number): Completion[] {
  const before = prompt.slice(0, caret);
  const start = before.search(/[^,;.()]*$/);
  const words = [...before.slice(start).matchAll(/\S+/g)].map(({ 0: word, index }) => ({ word, at: start + index }));
  const known = phrases(model).map((phrase) => ({ phrase, lower: phrase.toLowerCase() }));
  // The longest ending that some phrase goes on from, or is.
  for (const [skip, { at }] of words.entries()) {
    const ending = before.slice(at).toLowerCase().replace(/\s+/g, " ");
    if (ending.length < 2 || COMMON.has(ending)) continue;
    const longer = known.filter(({ lower }) => lower.startsWith(ending) && lower !== ending).map(({ phrase }) => ({ phrase, from: at }));
    if (known.some(({ lower }) => lower === ending)) return longer.slice(0, MOST);
    const inside = known.flatMap(({ phrase, lower }) => {
      const place = lower.startsWith(ending) ? -1 : lower.indexOf(` ${ending}`);
      return place === -1 ? [] : [{ phrase, from: begunAt(words.slice(0, skip), lower.slice(0, place).split(" ")) ?? at }];
    });
    if (longer.length + inside.length > 0) return [...longer, ...inside].slice(0, MOST);
  }
  return [];
}

/** Where a phrase begins whose first words stand there already, some of them at least; undefined if none does. */
function begunAt(words: { word: string; at: number }[], first: string[]): number | undefined {
  let from: number | undefined;
  let place = first.length;
  for (const { word, at } of [...words].reverse()) {
    place = place === 0 ? -1 : first.map(asArticle).lastIndexOf(asArticle(word.toLowerCase()), place - 1);
    if (place === -1) break;
    from = at;
  }
  return from;
}

/** All articles are one word here: “the apple” is on its way to “a red apple”. */
function asArticle(word: string): string {
  return ["a", "an", "the"].includes(word) ? "a" : word;
}

function phrases(model: ModelInfo | undefined): string[] {
  return (model?.vocabulary ?? []).flatMap((kind) => kind.phrases);
}
