// What the server says in words, in the language of the page: the protocol names each error by a code. The server speaks
// English, because it does not know who reads. Its own words say more, so that they follow where they are needed.
import { joined, language, t } from "./language";

/** Message, hint, and whether the server's words are needed, too. */
type Words = readonly [string, string, boolean];

const MISUNDERSTOOD: Words = [t("The server and this program did not understand each other."), t("Please report it."), true];

const ERRORS: Readonly<Record<string, Words>> = {
  bad_frame: MISUNDERSTOOD,
  bad_transfer: MISUNDERSTOOD,
  broken_model: [t("The files of the model are damaged."), t("Download the model again, or choose another one."), true],
  broken_store: [t("The server's list of pictures is damaged."), t("Run: layerfusion jobs recover"), true],
  cannot_draw: [
    t("The server cannot draw now, because the process that draws does not start."),
    t("See what the server says in its terminal or log."),
    true,
  ],
  download_failed: [
    t("The model could not be downloaded."),
    t("Check the connection to the internet, or choose another model."),
    true,
  ],
  internal_error: [t("An error occurred in the server."), t("Please report it; the server's log says more."), true],
  interrupted: [t("The server stopped while it was drawing this picture."), t("Draw it again."), false],
  invalid_layer: [t("A layer of this picture cannot be used as it is."), "", true],
  invalid_message: MISUNDERSTOOD,
  invalid_request: [t("The picture cannot be drawn with these values."), "", true],
  job_exists: MISUNDERSTOOD,
  layer_lost: [t("A layer of this picture is lost or damaged on the server's disk."), t("Draw it again."), false],
  not_finished: [t("The picture is not finished yet."), t("Wait until it is, or cancel it."), false],
  out_of_memory: [
    t("The picture does not fit into the memory of the server's computer."),
    t("Make it smaller, or draw fewer foregrounds at once."),
    false,
  ],
  quarantined: [
    t("The process that draws has ended more than once over this picture, so it is not tried again."),
    t("Change the prompts or the settings."),
    false,
  ],
  queue_full: [
    t("Too many of your pictures are waiting."),
    t("Wait until some of them are drawn, or cancel some."),
    false,
  ],
  quota_exceeded: [
    t("You have uploaded as much as the server allows in an hour."),
    t("Wait a while, or use smaller layers."),
    false,
  ],
  server_stopping: [t("The server is stopping."), t("Try again when it runs again."), false],
  store_full: [t("The server has no room for further pictures."), t("Delete pictures that you no longer need."), false],
  style_exists: [t("Another style has this name."), t("Choose another name."), false],
  token_revoked: [t("You may no longer use this server."), t("Ask the person who runs it for a new token."), false],
  too_fast: [t("Too many messages were sent at once."), t("Wait a moment, and try again."), false],
  too_large: [t("A layer or file is too large for the server."), t("Make it smaller."), true],
  too_many_styles: [t("There are as many styles as there may be."), t("Delete one of them."), false],
  unexpected_message: MISUNDERSTOOD,
  unknown_job: [t("The server does not have this picture any more."), t("Draw it again."), false],
  unknown_layer: [t("The server does not have a layer of this picture."), t("Draw it again."), true],
  unknown_model: [t("The server does not have this model."), t("Choose another model."), true],
  unreadable_file: [t("The file cannot be read."), "", true],
  unsupported_version: [
    t("The server has another version than this program."),
    t("Update the older one of them."),
    true,
  ],
  unwritable_file: [
    t("The server cannot write to its disk."),
    t("Make room on it, or let the server write there."),
    true,
  ],
  worker_died: [t("The process that draws has ended unexpectedly."), t("Draw it again."), true],
  worker_hung: [t("The process that draws made no step for too long and was stopped."), t("Draw it again."), false],
};

/** Something that the server refused, or could not do. */
export interface ServerProblem {
  code: string;
  message: string;
  hint?: string;
}

/**
 * Message and hint in the language of the page; `lang` is the tag of the language if it is another one: the server's own
 * words are shown in English, and for codes that this version does not know.
 */
export function told({ code, message, hint = "" }: ServerProblem): { message: string; hint: string; lang?: string } {
  const words = ERRORS[code];
  if (language === "en" || words === undefined) return { message, hint, lang: "en" };
  const [translated, remedy, needsMore] = words;
  const more = needsMore ? t("The server says: {words}", { words: `${message} ${hint}`.trim() }) : "";
  return { message: translated, hint: joined(remedy, more) };
}

/** Message and hint as one text. */
export function sentences(problem: ServerProblem): string {
  const { message, hint } = told(problem);
  return joined(message, hint);
}
