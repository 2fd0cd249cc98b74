// Leaves for the sign-in when the session is over, also while the page has no connection; and tells the service that
// somebody is there, which typing alone does not. It is used only where there are accounts.

const EVERY = 10_000; // milliseconds between two looks
const TELL_EVERY = 45_000; // milliseconds after which what a person does is told
const ACTIVE = "vlpro-active"; // when somebody last did something in any tab
const DRAFT = "vlpro-draft";

let person = null; // {id, idleMinutes}
let timer = 0;
let acted = 0; // when somebody last did something here, and it is not yet told
let told = 0;
let asking = false;
let gone = false;

const now = () => Date.now();

function active() {
  try {
    return Number(localStorage.getItem(ACTIVE)) || 0;
  } catch {
    return 0;
  }
}

function go(address) {
  gone = true;
  clearInterval(timer);
  location.assign(address);
}

/** Forgets what other people wrote in this tab. */
function forget(keep) {
  for (const key of Object.keys(sessionStorage)) if (key.startsWith(DRAFT) && key !== keep) sessionStorage.removeItem(key);
}

function toSignIn() {
  const idle = person && now() - Math.max(active(), acted) >= person.idleMinutes * 60_000 - 20_000;
  const there = location.pathname + location.search;
  go(`/login?ended=${idle ? "idle" : "over"}${there === "/" ? "" : `&next=${encodeURIComponent(there)}`}`);
}

/** Asks who is signed in; `person` is drawn anew where it is somebody else, or always with `again`. */
export async function look({ again = false } = {}) {
  if (asking || gone) return;
  asking = true;
  const tell = acted > told && now() - told >= TELL_EVERY;
  if (tell) told = now();
  try {
    const reply = await fetch("/v1/account", {
      cache: "no-store", headers: tell ? {} : { "x-vlpro-background": "1" },
    });
    if (reply.status === 401) toSignIn();
    else if (reply.ok && (again || (await reply.json()).id !== person?.id)) {
      gone = true;
      location.reload();
    }
  } catch { /* no connection: the next look tells */
  } finally {
    asking = false;
  }
}

function noted() {
  acted = now();
  try {
    localStorage.setItem(ACTIVE, String(acted));
  } catch { /* storage is full or forbidden: this tab alone decides */ }
}

/** Begins, for who is before the page. */
export function watch(who) {
  const first = person === null;
  person = who;
  forget(`${DRAFT}-${who.id}`);
  if (!first) return;
  noted();
  told = now();
  timer = setInterval(look, EVERY);
  for (const name of ["pointerdown", "keydown"]) addEventListener(name, noted, { capture: true, passive: true });
  document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && look());
  addEventListener("pageshow", (event) => event.persisted && look({ again: true }));
  // Streamlit loses its connection: because the session is over, or for a reason that heals.
  new MutationObserver((records) => {
    if (records.some(({ target }) => target.dataset.testConnectionState !== "CONNECTED")) look();
  }).observe(document.body, { subtree: true, attributeFilter: ["data-test-connection-state"] });
}

/** Ends the session; what was written here goes with it. */
export async function signOut() {
  gone = true;
  const reply = await fetch("/account/sign-out", { method: "POST" }).catch(() => null);
  if (!reply || (!reply.ok && reply.status !== 401)) {
    gone = false;
    return false;
  }
  forget("");
  go("/login?ended=signed_out");
  return true;
}

/** The part for a page that found nobody signed in. */
export function leave() {
  return { update: () => look({ again: true }) };
}
