// Puts documents into a knowledge base: each file goes to the service as it is, one after another.
import { el, fill, icon, takeFiles } from "./dom.js";

const ENDINGS = /\.(pdf|jpe?g|png|bmp|webp|docx|pptx)$/i;
const ACCEPT = ".pdf,.jpg,.jpeg,.png,.bmp,.webp,.docx,.pptx";

export default function (host, send) {
  let data = null;
  let waiting = []; // { file, base }
  let done = 0;
  let all = 0;
  let abort = null; // of the file that travels
  const files = el("input", { type: "file", multiple: true, hidden: true, accept: ACCEPT });
  const title = el("b");
  const hint = el("span");
  const zone = el("button", { type: "button", class: "dropzone tight", onclick: () => files.click() }, icon("add"), title, hint);
  const bar = el("i");
  const told = el("span");
  const halt = el("button", { type: "button", class: "small", onclick: () => stop() });
  const progress = el("div", { class: "progress", hidden: true }, el("div", { class: "told" }, told, halt), el("div", { class: "meter" }, bar));
  const say = el("div", { class: "unseen", role: "status" });
  const wrong = el("ul", { class: "wrong" });
  const root = el("div", { class: "handin putting" }, zone, files, progress, wrong, say);
  host.append(root);

  const refuse = (name, why) => wrong.append(el("li", { role: "alert" }, icon("warning"), el("span", {}, fill(data.words["knowledge.failed"], { name, why }))));

  function draw() {
    progress.hidden = abort === null;
    told.textContent = fill(data.words["knowledge.sending"], { number: Math.min(done + 1, all), all });
    bar.style.width = `${all ? (done / all) * 100 : 0}%`;
  }

  function take(list) {
    if (abort === null) {
      [done, all] = [0, 0];
      wrong.replaceChildren();
    }
    for (const file of list) {
      if (!ENDINGS.test(file.name)) refuse(file.name, data.words["knowledge.wrong_type"]);
      else if (!file.size) refuse(file.name, data.words["knowledge.empty"]);
      else {
        waiting.push({ file, base: data.base });
        all += 1;
      }
    }
    if (abort === null) next();
  }

  async function next() {
    const one = waiting.shift();
    if (!one) {
      abort = null;
      draw();
      return;
    }
    abort = new AbortController();
    const { signal } = abort;
    draw();
    say.textContent = told.textContent;
    const { file, base } = one;
    try {
      const path = `/v1/knowledge-bases/${encodeURIComponent(base)}/documents/${encodeURIComponent(file.name)}`;
      const reply = await fetch(path, { method: "PUT", body: file, signal, headers: { "content-type": "application/octet-stream" } });
      const answer = await reply.json();
      if (reply.ok) send("put", `${Date.now()} ${answer.id}`);
      else refuse(file.name, (data.language === "zh" && answer.error.vlpro?.zh) || answer.error.message);
    } catch {
      if (signal.aborted) return;
      refuse(file.name, data.words["knowledge.no_answer"]);
    }
    if (signal.aborted) return;
    done += 1;
    next();
  }

  function stop() {
    const count = waiting.length + 1;
    waiting = [];
    abort?.abort();
    abort = null;
    draw();
    say.textContent = fill(data.words["knowledge.stopped"], { count });
  }

  takeFiles(zone, [files], take);

  function update(given) {
    data = given;
    title.textContent = data.words["knowledge.add"];
    hint.textContent = data.words["knowledge.drop"];
    halt.textContent = data.words["knowledge.stop"];
    draw();
  }
  const remove = () => {
    waiting = [];
    abort?.abort();
    root.remove();
  };
  return { update, remove };
}
