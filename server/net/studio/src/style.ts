// How a style changes what is submitted; as `Style.applied` in server/protocol/styles.py. What is there already is not
// added again: the studio also draws from the prompts of pictures that were drawn in the style.
import type { Generated, Kept, Relit, Style, Submit } from "./protocol";

type Source = Generated | Kept | Relit;

export function applied(style: Style, submit: Submit): Submit {
  const tags = (style.loras ?? []).map(({ name, weight }) => `<lora:${name}:${weight ?? 1}>`);
  const plain = tags.reduce((words, tag) => words.replace(tag, ""), submit.background.prompt).trim();
  const background = drawn(style, { ...submit.background, prompt: plain });
  return {
    ...submit,
    sampler: style.sampler ?? submit.sampler ?? null,
    background: { ...background, prompt: [background.prompt, ...tags].join(" ") }, // each tag counts once
    foregrounds: submit.foregrounds.map((source) => drawn(style, source)),
    blended_prompt: submit.blended_prompt ? joined(submit.blended_prompt, style.prompt) : (submit.blended_prompt ?? null),
  };
}

function drawn<S extends Source>(style: Style, source: S): S {
  if (source.kind === "kept") return source;
  return {
    ...source,
    prompt: joined(source.prompt, style.prompt),
    negative_prompt: joined(source.negative_prompt, style.negative_prompt),
  };
}

/** Two texts with a comma; the second is left out if the first ends with it, because the picture was drawn in the style. */
function joined(text: string | undefined, added: string | undefined): string {
  if (!text || !added) return text || added || "";
  return text === added || text.endsWith(`, ${added}`) ? text : `${text}, ${added}`;
}
