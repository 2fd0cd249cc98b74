// Begins a batch: each file goes to the service by itself, straight from the browser, then they are asked about together.
import { el, fill, icon, takeFiles } from "./dom.js";

const ENDINGS = /\.(jpe?g|png|bmp|webp|pdf|zip)$/i;
const ACCEPT = ".jpg,.jpeg,.png,.bmp,.webp,.pdf,.zip";
const AT_ONCE = 3; // uploads beside each other

export default function (host, send) {
  let data = null;
  let chosen = []; // { file, name, id }
  let abort = null; // of the uploads that go on
  const files = el("input", { type: "file", multiple: true, hidden: true, accept: ACCEPT });
  const folder = el("input", { type: "file", webkitdirectory: true, hidden: true });
  const title = el("b");
  const hint = el("span");
  const zone = el("button", { type: "button", class: "dropzone tight", onclick: () => files.click() }, icon("add"), title, hint);
  const fromFolder = el("button", { type: "button", class: "link", onclick: () => folder.click() });
  const count = el("span");
  const clear = el("button", { type: "button", class: "link", onclick: () => { chosen = []; draw(); } });
  const picked = el("div", { class: "told" }, count, clear);
  const how = el("select", { onchange: () => draw() });
  const howLabel = el("label", { class: "line" }, el("span"), how);
  const text = el("textarea", { rows: 4, maxlength: 20000, oninput: () => draw() });
  const textLabel = el("label", { class: "words" }, el("span"), text);
  const go = el("button", { type: "button", class: "small primary", onclick: () => start() });
  const bar = el("i");
  const told = el("span");
  const halt = el("button", { type: "button", class: "small", onclick: () => stop() });
  const progress = el("div", { class: "progress", hidden: true }, el("div", { class: "told" }, told, halt), el("div", { class: "meter" }, bar));
  const say = el("div", { class: "unseen", role: "status" });
  const wrong = el("ul", { class: "wrong" });
  const root = el("div", { class: "handin inspecting batching" }, zone, fromFolder, files, folder, picked, howLabel, textLabel, go, progress, wrong, say);
  host.append(root);

  const refuse = (name, why) => wrong.append(el("li", { role: "alert" }, icon("warning"), el("span", {}, fill(data.words["batches.failed"], { name, why }))));
  const sentence = (error) => (data.language === "zh" && error.vlpro?.zh) || error.message;

  function draw() {
    const size = chosen.reduce((sum, { file }) => sum + file.size, 0);
    count.textContent = fill(data.words["batches.chosen"], { count: chosen.length, size: (size / 1e6).toFixed(1) });
    const busy = abort !== null;
    picked.hidden = !chosen.length || busy;
    textLabel.hidden = how.value !== "";
    go.disabled = busy || !chosen.length || (how.value === "" && !text.value.trim());
    zone.disabled = fromFolder.disabled = busy;
    progress.hidden = !busy;
    if (!busy) return;
    const done = chosen.filter(({ id }) => id).length;
    told.textContent = fill(data.words["batches.sending"], { done, all: chosen.length });
    bar.style.width = `${(done / chosen.length) * 100}%`;
  }

  function take(list) {
    wrong.replaceChildren();
    for (const file of list) {
      const name = file.webkitRelativePath || file.name;
      if (!ENDINGS.test(name)) {
        if (!file.webkitRelativePath) refuse(name, data.words["batches.wrong_type"]);
      } else if (file.size > data.limit) refuse(name, fill(data.words["batches.too_large"], { limit: Math.floor(data.limit / 1e6) }));
      else if (!file.size) refuse(name, data.words["batches.empty"]);
      else chosen.push({ file, name, id: "" });
    }
    draw();
    say.textContent = count.textContent;
  }

  async function call(path, options) {
    const reply = await fetch(path, { method: "POST", signal: abort.signal, ...options });
    const answer = await reply.json();
    if (!reply.ok) throw Object.assign(new Error(sentence(answer.error)), { known: true });
    return answer;
  }

  async function start() {
    wrong.replaceChildren();
    abort = new AbortController();
    const { signal } = abort;
    draw();
    const waiting = chosen.filter(({ id }) => !id);
    let failed = null;
    const worker = async () => {
      while (waiting.length && !failed && !signal.aborted) {
        const one = waiting.shift();
        const form = new FormData();
        form.append("purpose", "user_data");
        form.append("file", one.file, one.name);
        try {
          one.id = (await call("/v1/files", { body: form })).id;
        } catch (error) {
          if (!signal.aborted) failed = { name: one.name, why: error.known ? error.message : data.words["batches.no_answer"] };
        }
        if (!signal.aborted) draw();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    if (signal.aborted) return;
    if (failed) refuse(failed.name, failed.why);
    else {
      const asked = how.value ? { template: how.value } : { instruction: text.value };
      const body = JSON.stringify({ input: { file_ids: chosen.map(({ id }) => id) }, completion_window: "7d", ...asked });
      try {
        const made = await call("/v1/batches", { body, headers: { "content-type": "application/json" } });
        chosen = [];
        send("done", made.id);
      } catch (error) {
        if (signal.aborted) return;
        refuse(data.words["batches.start"], error.known ? error.message : data.words["batches.no_answer"]);
      }
    }
    abort = null;
    draw();
  }

  function stop() {
    abort?.abort();
    abort = null;
    for (const { id } of chosen) if (id) fetch(`/v1/files/${encodeURIComponent(id)}`, { method: "DELETE" });
    for (const one of chosen) one.id = "";
    draw();
    say.textContent = data.words["batches.stopped"];
  }

  takeFiles(zone, [files, folder], take);

  function update(given) {
    data = given;
    const { words } = data;
    title.textContent = words["batches.add"];
    hint.textContent = words["batches.drop"];
    fromFolder.textContent = words["batches.folder"];
    clear.textContent = words["batches.clear"];
    howLabel.firstChild.textContent = words["batches.how"];
    textLabel.firstChild.textContent = words["batches.instruction"];
    text.placeholder = words["batches.instruction.hint"];
    go.textContent = words["batches.start"];
    halt.textContent = words["batches.stop"];
    const before = how.value;
    how.replaceChildren(el("option", { value: "" }, words["batches.ask"]), ...data.templates.map(({ name, title: shown }) => el("option", { value: name }, shown)));
    how.value = data.templates.some(({ name }) => name === before) ? before : "";
    draw();
  }
  const remove = () => {
    abort?.abort();
    root.remove();
  };
  return { update, remove };
}
