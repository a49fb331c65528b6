// The language of the page: the artist's choice, else the browser's. Texts in the sources are English, and are the keys
// of the tables, which build.mjs makes from the plugin's and the studio's own.
import tables from "translations";

const CHOSEN = "layerfusion-language";
/** BCP 47 tags, and how the speakers of each language call it. */
export const LANGUAGES: Record<string, string> = { en: "English", de: "Deutsch", "zh-CN": "简体中文", ja: "日本語" };

export const language = choose(localStorage.getItem(CHOSEN), navigator.languages);
const table = tables[language] ?? {};

/** A text in the language of the page. `{name}` in it stands for a value. */
export function t(text: string, values: Record<string, string | number> = {}): string {
  const translated = table[text] ?? text;
  return translated.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** Sentences one after the other; those that are empty are left out. Chinese and Japanese have no spaces between. */
export function joined(...sentences: readonly string[]): string {
  return sentences.reduce((text, each) => (text === "" || text.endsWith("。") || each === "" ? text + each : `${text} ${each}`), "");
}

/** Use another language; the page is loaded again, and nothing of it is lost. */
export function speak(chosen: string): void {
  localStorage.setItem(CHOSEN, chosen);
  location.reload();
}

/** Translate the texts and names that stand in the page. What scripts add later is translated where it is made. */
export function translatePage(): void {
  document.documentElement.lang = language;
  if (language === "en") return;
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const node = texts.currentNode as Text;
    if (node.data.trim() !== "") node.data = node.data.replace(node.data.trim(), () => t(node.data.trim()));
  }
  for (const name of ["aria-label", "placeholder", "title"]) {
    for (const element of document.querySelectorAll(`[${name}]`)) {
      element.setAttribute(name, t(element.getAttribute(name)!));
    }
  }
}

function choose(chosen: string | null, wished: readonly string[]): string {
  const known = Object.keys(LANGUAGES);
  for (const tag of chosen === null ? wished : [chosen, ...wished]) {
    // Traditional Chinese is not offered: its readers choose.
    if (/^zh-(hant|tw|hk|mo)/i.test(tag)) continue;
    const found = known.find((each) => each.split("-")[0] === tag.toLowerCase().split("-")[0]);
    if (found !== undefined) return found;
  }
  return "en";
}
