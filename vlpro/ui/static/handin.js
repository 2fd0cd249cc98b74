// Hands documents in: each file goes to the service by itself, one after another, as JSON that stays in memory there.
import { el, fill, icon, takeFiles } from "./dom.js";

const TYPES = /^(image\/(jpeg|png|bmp|x-ms-bmp|webp)|application\/pdf)$/;
const ENDINGS = /\.(jpe?g|png|bmp|webp|pdf)$/i;

const dataUrl = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  const pdf = file.type === "application/pdf" || /\.pdf$/i.test(file.name);
  reader.onload = () => resolve(reader.result.replace(/^data:[^,]*,/, `data:${pdf ? "application/pdf" : "application/octet-stream"};base64,`));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

export default function (host, send) {
  let data = null;
  let waiting = [];
  let done = 0;
  let all = 0;
  let abort = null; // of the file that travels
  const files = el("input", { type: "file", multiple: true, hidden: true, accept: ".jpg,.jpeg,.png,.bmp,.webp,.pdf,image/jpeg,image/png,image/bmp,image/webp,application/pdf" });
  const title = el("b");
  const hint = el("span");
  const zone = el("button", { type: "button", class: "dropzone tight", onclick: () => files.click() }, icon("add"), title, hint);
  const kind = el("select");
  const kindLabel = el("label", { class: "line" }, el("span"), kind);
  const over = el("input", { type: "checkbox" });
  const overLabel = el("label", { class: "line check" }, over, el("span"));
  const bar = el("i");
  const told = el("span");
  const halt = el("button", { type: "button", class: "small", onclick: () => stop() });
  const progress = el("div", { class: "progress", hidden: true }, el("div", { class: "told" }, told, halt), el("div", { class: "meter" }, bar));
  const say = el("div", { class: "unseen", role: "status" });
  const wrong = el("ul", { class: "wrong" });
  const root = el("div", { class: "handin" }, zone, files, kindLabel, overLabel, progress, wrong, say);
  host.append(root);

  const refuse = (name, why) => wrong.append(el("li", { role: "alert" }, icon("warning"), el("span", {}, fill(data.words["receipts.failed"], { name, why }))));

  function draw() {
    const busy = abort !== null;
    progress.hidden = !all;
    halt.hidden = !busy;
    told.textContent = fill(data.words[busy ? "receipts.reading" : "receipts.read"], { done: busy ? done + 1 : done, all });
    bar.style.width = `${all ? (done / all) * 100 : 0}%`;
    if (say.textContent !== told.textContent) say.textContent = told.textContent;
  }

  function take(list) {
    const chosen = [...list];
    if (abort === null) {
      [done, all] = [0, 0];
      wrong.replaceChildren();
    }
    for (const file of chosen) {
      const pdf = /\.pdf$/i.test(file.name);
      const limit = pdf ? data.limits.pdf : data.limits.image;
      if (!TYPES.test(file.type) && !ENDINGS.test(file.name)) refuse(file.name, data.words["receipts.wrong_type"]);
      else if (file.size > limit) refuse(file.name, fill(data.words["receipts.too_large"], { limit: Math.floor(limit / 1e6) }));
      else {
        waiting.push({ file, template: kind.value, review: over.checked });
        all += 1;
      }
    }
    if (abort === null) next();
    draw();
  }

  async function next() {
    const one = waiting.shift();
    if (!one) {
      abort = null;
      draw();
      return;
    }
    abort = new AbortController();
    draw();
    const { signal } = abort;
    try {
      const file = { filename: one.file.name, file_data: await dataUrl(one.file) };
      const body = { template: one.template, review: one.review, input: [{ type: "file", file }] };
      const reply = await fetch("/v1/extractions", {
        method: "POST", signal, body: JSON.stringify(body), headers: { "content-type": "application/json" },
      });
      const answer = await reply.json();
      if (reply.ok) send("done", answer.id);
      else refuse(one.file.name, (data.language === "zh" && answer.error.vlpro?.zh) || answer.error.message);
    } catch {
      if (signal.aborted) return;
      refuse(one.file.name, data.words["receipts.no_answer"]);
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
    told.textContent = fill(data.words["receipts.stopped"], { count });
    say.textContent = told.textContent;
  }

  takeFiles(zone, [files], take);

  function update(given) {
    const first = data === null;
    data = given;
    const { words } = data;
    title.textContent = words["receipts.add"];
    hint.textContent = words["receipts.drop"];
    kindLabel.firstChild.textContent = words["receipts.template"];
    overLabel.lastChild.textContent = words["receipts.hand_over"];
    overLabel.hidden = !data.shared;
    halt.textContent = words["receipts.stop"];
    const chosen = first ? "auto" : kind.value;
    kind.replaceChildren(...data.templates.map(({ name, title: text }) => el("option", { value: name }, text)));
    kind.value = chosen;
    draw();
  }
  const remove = () => {
    waiting = [];
    abort?.abort();
    root.remove();
  };
  return { update, remove };
}
