// How a style changes what is submitted; as `Style.applied` in server/protocol/styles.py.
import type { Generated, Kept, Relit, Style, Submit } from "./protocol";

type Source = Generated | Kept | Relit;

export function applied(style: Style, submit: Submit): Submit {
  const background = drawn(style, submit.background);
  const tags = (style.loras ?? []).map(({ name, weight }) => ` <lora:${name}:${weight ?? 1}>`).join("");
  return {
    ...submit,
    sampler: style.sampler ?? submit.sampler ?? null,
    background: { ...background, prompt: background.prompt + tags }, // each tag counts once
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

function joined(...texts: (string | undefined)[]): string {
  return texts.filter((text) => text !== undefined && text !== "").join(", ");
}
