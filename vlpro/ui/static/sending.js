// Sends files to the service by themselves, straight from the browser, with a bar, a button that stops, and what went wrong.
import { el, fill, icon } from "./dom.js";

const AT_ONCE = 3; // uploads beside each other

/**
 * What is shown of it, and its work. An item is `{ file, name, id }`; its `id` is the service's name of what was sent.
 *
 * `changed` draws what is around it, `stopped` is called when somebody stopped it.
 */
export function sender({ changed, stopped }) {
  let words = null; // sending, failed, no_answer
  let language = "";
  let abort = null; // of what travels
  const bar = el("i");
  const told = el("span");
  const halt = el("button", { type: "button", class: "small", onclick: () => stop() });
  const progress = el("div", { class: "progress", hidden: true }, el("div", { class: "told" }, told, halt), el("div", { class: "meter" }, bar));
  const wrong = el("ul", { class: "wrong" });
  const say = el("div", { class: "unseen", role: "status" });
  let items = [];

  const refuse = (name, why) => wrong.append(el("li", { role: "alert" }, icon("warning"), el("span", {}, fill(words.failed, { name, why }))));
  const sentence = (error) => (language === "zh" && error.vlpro?.zh) || error.message;
  const why = (error) => (error.known ? error.message : words.no_answer);

  function draw() {
    progress.hidden = abort === null;
    if (abort !== null) {
      const done = items.filter(({ id }) => id).length;
      told.textContent = fill(words.sending, { done, all: items.length });
      bar.style.width = `${(done / items.length) * 100}%`;
    }
    changed();
  }

  async function call(path, options) {
    const reply = await fetch(path, { method: "POST", signal: abort.signal, ...options });
    const answer = await reply.json();
    if (!reply.ok) throw Object.assign(new Error(sentence(answer.error)), { known: true });
    return answer;
  }

  /** The service need not keep what it was sent. */
  function forget(sent) {
    for (const one of sent) {
      if (one.id) fetch(`/v1/files/${encodeURIComponent(one.id)}`, { method: "DELETE" }).catch(() => {});
      one.id = "";
    }
  }

  /**
   * Sends what has no `id` yet, with the form's `fields`, then posts `body()` to `path` as JSON.
   *
   * Returns the service's answer; null: something was wrong, which is shown then, or somebody stopped it. `kept` says
   * whether what was sent stays for another try, and after it.
   */
  async function send({ chosen, fields, path, body, name, saying, kept }) {
    wrong.replaceChildren();
    items = chosen;
    abort = new AbortController();
    const { signal } = abort;
    draw();
    const waiting = items.filter(({ id }) => !id);
    let failed = null;
    let made = null;
    const worker = async () => {
      while (waiting.length && !failed && !signal.aborted) {
        const one = waiting.shift();
        const form = new FormData();
        for (const [field, value] of Object.entries(fields)) form.append(field, value);
        form.append("file", one.file, one.name);
        try {
          one.id = (await call("/v1/files", { body: form })).id;
        } catch (error) {
          if (!signal.aborted) failed = { name: one.name, why: why(error) };
        }
        if (!signal.aborted) draw();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (!failed && !signal.aborted) {
      if (saying) told.textContent = saying;
      try {
        made = await call(path, { body: JSON.stringify(body()), headers: { "content-type": "application/json" } });
      } catch (error) {
        if (!signal.aborted) failed = { name, why: why(error) };
      }
    }
    // Also of what was still under way when it was stopped.
    if (!kept || signal.aborted) forget(chosen);
    if (signal.aborted) return null;
    abort = null;
    if (failed) refuse(failed.name, failed.why);
    draw();
    return made;
  }

  function stop() {
    abort?.abort();
    abort = null;
    draw();
    stopped();
  }

  return {
    parts: [progress, wrong, say],
    busy: () => abort !== null,
    clear: () => wrong.replaceChildren(),
    say: (text) => { say.textContent = text; },
    refuse,
    send,
    close: () => abort?.abort(),
    update(given) {
      ({ words, language } = given);
      halt.textContent = words.stop;
    },
  };
}
