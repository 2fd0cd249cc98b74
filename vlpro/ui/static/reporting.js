// Begins a report: pictures and PDFs go to the service one by one, straight from the browser; then they are reported on
// together, and deleted there.
import { el, fill, icon, iconButton, takeFiles } from "./dom.js";

const ENDINGS = /\.(jpe?g|png|bmp|webp|pdf)$/i;
const ACCEPT = ".jpg,.jpeg,.png,.bmp,.webp,.pdf,image/jpeg,image/png,image/bmp,image/webp,application/pdf";
const AT_ONCE = 3; // uploads beside each other

export default function (host, send) {
  let data = null;
  let chosen = []; // { file, url, id }, in the report's order
  let abort = null; // of what travels
  const files = el("input", { type: "file", multiple: true, hidden: true, accept: ACCEPT });
  const title = el("b");
  const hint = el("span");
  const zone = el("button", { type: "button", class: "dropzone tight", onclick: () => files.click() }, icon("add"), title, hint);
  const tray = el("ol", { class: "tray" });
  const count = el("span", { class: "count" });
  const text = el("textarea", { rows: 5, oninput: () => draw() });
  const textLabel = el("label", { class: "words" }, el("span"), text);
  const left = el("span", { class: "count" });
  const language = el("select");
  const languageLabel = el("label", { class: "line" }, el("span"), language);
  const go = el("button", { type: "button", class: "small primary", onclick: () => start() });
  const bar = el("i");
  const told = el("span");
  const halt = el("button", { type: "button", class: "small", onclick: () => stop() });
  const progress = el("div", { class: "progress", hidden: true }, el("div", { class: "told" }, told, halt), el("div", { class: "meter" }, bar));
  const say = el("div", { class: "unseen", role: "status" });
  const wrong = el("ul", { class: "wrong" });
  const root = el("div", { class: "handin inspecting batching reporting" }, zone, files, count, tray, textLabel, left, languageLabel, go, progress, wrong, say);
  host.append(root);

  const refuse = (name, why) => wrong.append(el("li", { role: "alert" }, icon("warning"), el("span", {}, fill(data.words["report.failed"], { name, why }))));
  const sentence = (error) => (data.language === "zh" && error.vlpro?.zh) || error.message;

  function draw() {
    const busy = abort !== null;
    const { words } = data;
    count.textContent = fill(words["report.count"], { count: chosen.length, most: data.most });
    count.hidden = !chosen.length;
    left.textContent = `${text.value.length} / ${data.letters}`;
    left.hidden = text.value.length < data.letters * 0.9;
    tray.replaceChildren(...chosen.map((one, place) => el(
      "li", { title: one.file.name },
      one.url ? el("img", { src: one.url, alt: one.file.name }) : el("span", { class: "pdf" }, /\.pdf$/i.test(one.file.name) ? "PDF" : "…"),
      el("i", {}, String(place + 1)),
      busy ? null : iconButton("close", fill(words["report.remove"], { name: one.file.name }), () => drop(one)),
    )));
    zone.disabled = text.disabled = language.disabled = busy;
    go.disabled = busy || !chosen.length;
    progress.hidden = !busy;
    if (!busy) return;
    const done = chosen.filter(({ id }) => id).length;
    told.textContent = fill(words["report.sending"], { done, all: chosen.length });
    bar.style.width = `${(done / chosen.length) * 100}%`;
  }

  function drop(one) {
    chosen = chosen.filter((other) => other !== one);
    draw();
    say.textContent = count.textContent;
  }

  function take(list) {
    wrong.replaceChildren();
    const surplus = [];
    for (const file of list) {
      const pdf = /\.pdf$/i.test(file.name);
      const limit = pdf ? data.limits.pdf : data.limits.image;
      if (!ENDINGS.test(file.name)) refuse(file.name, data.words["report.wrong_type"]);
      else if (file.size > limit) refuse(file.name, fill(data.words["report.too_large"], { limit: Math.floor(limit / 1e6) }));
      else if (chosen.length >= data.most) surplus.push(file.name);
      else {
        const one = { file, url: "", id: "" };
        chosen.push(one);
        if (!pdf) preview(one);
      }
    }
    if (surplus.length) refuse(surplus.join(", "), fill(data.words["report.too_many"], { most: data.most }));
    draw();
    say.textContent = count.textContent;
  }

  /** A small copy: the page's policy shows no picture straight from a file. */
  async function preview(one) {
    try {
      const bitmap = await createImageBitmap(one.file, { resizeHeight: 160, resizeQuality: "medium" });
      const canvas = el("canvas", { width: bitmap.width, height: bitmap.height });
      canvas.getContext("2d").drawImage(bitmap, 0, 0);
      bitmap.close();
      one.url = canvas.toDataURL("image/jpeg", 0.8);
      draw();
    } catch { // the service says what is wrong with it
    }
  }

  async function call(path, options) {
    const reply = await fetch(path, { method: "POST", signal: abort.signal, ...options });
    const answer = await reply.json();
    if (!reply.ok) throw Object.assign(new Error(sentence(answer.error)), { known: true });
    return answer;
  }

  const why = (error) => (error.known ? error.message : data.words["report.no_answer"]);

  async function start() {
    wrong.replaceChildren();
    abort = new AbortController();
    const { signal } = abort;
    draw();
    const waiting = [...chosen];
    let failed = null;
    const worker = async () => {
      while (waiting.length && !failed && !signal.aborted) {
        const one = waiting.shift();
        const form = new FormData();
        form.append("purpose", "vision");
        form.append("expires_after[anchor]", "created_at");
        form.append("expires_after[seconds]", "3600");
        form.append("file", one.file, one.file.name);
        try {
          one.id = (await call("/v1/files", { body: form })).id;
        } catch (error) {
          if (!signal.aborted) failed = { name: one.file.name, why: why(error) };
        }
        if (!signal.aborted) draw();
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, worker));
    let made = null;
    if (!failed && !signal.aborted) {
      told.textContent = data.words["report.reading"];
      const body = JSON.stringify({
        input: chosen.map(({ id, file }) => ({ type: "input_file", file_id: id, filename: file.name.slice(0, 255) })),
        instruction: text.value, language: language.value, background: true,
      });
      try {
        made = await call("/v1/reports", { body, headers: { "content-type": "application/json" } });
      } catch (error) {
        if (!signal.aborted) failed = { name: data.words["report.begin"], why: why(error) };
      }
    }
    forget();
    if (signal.aborted) return;
    abort = null;
    if (made) {
      chosen = [];
      send("done", made.id);
    } else refuse(failed.name, failed.why);
    draw();
  }

  /** The service has read them, or will not: it need not keep them. */
  function forget() {
    for (const one of chosen) {
      if (one.id) fetch(`/v1/files/${encodeURIComponent(one.id)}`, { method: "DELETE" }).catch(() => {});
      one.id = "";
    }
  }

  function stop() {
    abort?.abort();
    abort = null;
    draw();
    say.textContent = data.words["report.not_sent"];
  }

  takeFiles(zone, [files], take);

  function update(given) {
    const first = data === null;
    data = given;
    const { words } = data;
    title.textContent = words["report.add"];
    hint.textContent = fill(words["report.drop"], { most: data.most });
    textLabel.firstChild.textContent = words["report.instruction"];
    text.placeholder = words["report.instruction.hint"];
    text.maxLength = data.letters;
    languageLabel.firstChild.textContent = words["report.language"];
    const before = first ? data.language : language.value;
    language.replaceChildren(...Object.entries(data.languages).map(([value, shown]) => el("option", { value }, shown)));
    language.value = before;
    go.textContent = words["report.begin"];
    halt.textContent = words["report.stop"];
    draw();
  }
  const remove = () => {
    abort?.abort();
    root.remove();
  };
  return { update, remove };
}
