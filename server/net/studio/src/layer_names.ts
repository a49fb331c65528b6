// What layers are called on the page. The server names them in English, as files are for everybody; the page says the same
// in the artist's language, until the artist names a layer.
import { t } from "./language";
import type { Layer } from "./picture";

export const ROLES: Record<Layer["role"], string> = {
  background: t("Background"),
  foreground: t("Foreground"),
  shadow: t("Shadow"),
  light: t("Light"),
  blended: t("Blended"),
};
const SERVERS = /^(background|foreground|shadow|light|blended)( \d+)?$/i;

/** A layer's name as the page shows it. */
export function shownName({ name }: Pick<Layer, "name">): string {
  const [, role, number] = SERVERS.exec(name) ?? [];
  return role === undefined ? name : ROLES[role.toLowerCase() as Layer["role"]] + (number ?? "");
}
