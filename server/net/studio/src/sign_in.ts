// Signing this browser in with a one-time code. The key is kept in local storage, which is this server's alone; the
// cookie that belongs to it is out of reach of scripts. The server's status page uses the same key.

const KEY = "layerfusion-key";

export function key(): string | null {
  return localStorage.getItem(KEY);
}

function ask(path: string, headers: Record<string, string>): Promise<Response> {
  return fetch(path, { headers, cache: "no-store", credentials: "same-origin", redirect: "error" });
}

function signed(): Record<string, string> {
  return { "X-Layerfusion-Key": key() ?? "" };
}

export async function signIn(code: string): Promise<boolean> {
  const answer = await ask("/session", { "X-Layerfusion-Code": code.replace(/[^\x21-\x7e]/g, "") });
  if (answer.ok) localStorage.setItem(KEY, ((await answer.json()) as { key: string }).key);
  return answer.ok;
}

/** The code in the address, if there is one. It is taken out of the address, and so out of the history. */
export function codeFromAddress(): string | null {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code !== null) history.replaceState(null, "", location.pathname);
  return code;
}

export async function signOut(): Promise<void> {
  await ask("/signout", signed()).catch(() => undefined);
  forget();
}

function forget(): void {
  localStorage.removeItem(KEY);
  sessionStorage.clear(); // prompts and pictures are not for whoever comes next
}

/** Whether the server knows this browser; undefined if it does not answer. */
export async function isKnown(): Promise<boolean | undefined> {
  try {
    const answer = await ask("/status", signed());
    if (answer.status === 401) forget();
    return answer.status !== 401;
  } catch {
    return undefined;
  }
}
