// The status page: signs this browser in with a one-time code, and shows the server's state and the user's jobs.
// The key is kept in local storage, which is this server's alone; the cookie that belongs to it is out of reach here.
"use strict";

const KEY = "layerfusion-key";
const SECONDS = 2;
const element = (id) => document.getElementById(id);

function say(text) {
  if (element("state").textContent !== text) element("state").textContent = text;
}

function show(signedIn) {
  element("signin").hidden = signedIn;
  for (const id of ["who", "signout", "facts", "jobs"]) element(id).hidden = !signedIn;
}

function ask(path, headers) {
  return fetch(path, { headers, cache: "no-store", credentials: "same-origin", redirect: "error" });
}

function signedInHeaders() {
  return { "X-Layerfusion-Key": localStorage.getItem(KEY) ?? "" };
}

async function signIn(code) {
  const answer = await ask("/session", { "X-Layerfusion-Code": code.replace(/[^\x21-\x7e]/g, "") });
  if (answer.ok) localStorage.setItem(KEY, (await answer.json()).key);
  return answer.ok;
}

// Code from the address: it is taken out of the address, and so out of the history, before it is used.
async function signInFromAddress() {
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code === null) return true;
  history.replaceState(null, "", "/");
  return signIn(code);
}

function cell(text) {
  const made = document.createElement("td");
  made.textContent = text;
  return made;
}

function fill(status) {
  element("who").textContent = status.user === "" ? "Signed in as the owner" : `Signed in as ${status.user}`;
  const facts = [["Version", status.version], ...Object.entries(status.health)].flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    return [term, text];
  });
  element("facts").replaceChildren(...facts);
  const rows = status.jobs.map((job) => {
    const row = document.createElement("tr");
    const when = new Date(1000 * job.submitted).toLocaleString();
    row.append(cell(job.title), cell(job.state), cell(`${job.width} × ${job.height}`), cell(job.layers), cell(when));
    return row;
  });
  element("jobs").tBodies[0].replaceChildren(...rows);
  const busy = status.jobs.filter((job) => job.state === "running" || job.state === "queued").length;
  say(busy === 0 ? "Nothing is being drawn." : `Waiting or being drawn: ${busy}.`);
}

async function refresh() {
  if (localStorage.getItem(KEY) === null) {
    show(false);
    say("This browser is not signed in.");
    return;
  }
  try {
    const answer = await ask("/status", signedInHeaders());
    show(answer.ok);
    if (answer.ok) {
      fill(await answer.json());
    } else if (answer.status === 401) {
      localStorage.removeItem(KEY);
      say("This browser is not signed in.");
    } else {
      say(`The server answers: ${answer.status}.`);
    }
  } catch {
    say("The server does not answer. Is it running?");
  }
}

async function refreshAgainAndAgain() {
  if (document.visibilityState === "visible") await refresh();
  setTimeout(refreshAgainAndAgain, 1000 * SECONDS);
}

element("signin").addEventListener("submit", async (event) => {
  event.preventDefault();
  const done = await signIn(element("code").value).catch(() => false);
  element("code").value = "";
  await refresh();
  if (!done) say("The code is wrong, used or too old. Ask for another one.");
});

element("signout").addEventListener("click", async () => {
  await ask("/signout", signedInHeaders()).catch(() => undefined);
  localStorage.removeItem(KEY);
  await refresh();
});

signInFromAddress()
  .catch(() => false)
  .then(async (done) => {
    await refresh();
    if (!done) say("The code is wrong, used or too old. Ask for another one.");
    setTimeout(refreshAgainAndAgain, 1000 * SECONDS);
  });
