// Notes and problems, with what helps; and how the connection is.
import type { Link } from "./connection";
import { arrange, find, make } from "./elements";
import { joined, t } from "./language";
import type { Message } from "./notices";
import { told } from "./server_words";
import type { Studio } from "./studio";

const LINKS: Partial<Record<Link, string>> = {
  connecting: t("Connecting to the server…"),
  lost: t("The server does not answer. Pictures that were begun are kept; the studio goes on when the server is back."),
};

export function showMessages(studio: Studio): void {
  const notes = find("notes", HTMLDivElement);
  const problems = find("problems", HTMLDivElement);
  let shown = new Map<Message, HTMLParagraphElement>(); // each is made, and read to the blind, once
  studio.notices.messages.watch((messages) => {
    shown = new Map(messages.map((each) => [each, shown.get(each) ?? paragraph(studio, each)]));
    for (const [area, kind] of [[notes, "note"], [problems, "problem"]] as const) {
      arrange(area, messages.filter((each) => each.kind === kind).map((each) => shown.get(each)!));
    }
  });
  const link = find("link", HTMLParagraphElement);
  studio.link.watch((state) => {
    link.textContent = LINKS[state] ?? "";
    link.hidden = link.textContent === "";
  });
  const trouble = find("trouble", HTMLDivElement);
  studio.welcome.watch((welcome) => {
    const problem = welcome?.problem ?? "";
    trouble.hidden = problem === "";
    const { message, hint, lang } = told({ code: "cannot_draw", message: problem });
    const text = find("trouble-text", HTMLSpanElement);
    if (lang === undefined) text.removeAttribute("lang");
    else text.lang = lang;
    text.textContent = joined(message, hint);
  });
}

function paragraph(studio: Studio, message: Message): HTMLParagraphElement {
  const made = make("p", { className: message.kind }, make("span", message.lang === undefined ? {} : { lang: message.lang }, message.text));
  const { remedy } = message;
  if (remedy !== undefined) {
    made.append(make("button", { type: "button", textContent: remedy.label, onclick: () => remedy.act() }));
  }
  const close = make("button", { type: "button", className: "quiet", textContent: t("Close") });
  close.onclick = () => studio.notices.close(message);
  made.append(close);
  return made;
}
