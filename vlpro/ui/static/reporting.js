// Begins a report: pictures and PDFs go to the service one by one, straight from the browser; then they are reported on
// together, and deleted there.
import { el, fill, icon, iconButton, takeFiles } from "./dom.js";
import { sender } from "./sending.js";

const ENDINGS = /\.(jpe?g|png|bmp|webp|pdf)$/i;
const ACCEPT = ".jpg,.jpeg,.png,.bmp,.webp,.pdf,image/jpeg,image/png,image/bmp,image/webp,application/pdf";

export default function (host, send) {
  let data = null;
  let chosen = []; // { file, name, url, id }, in the report's order
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
  const sending = sender({ changed: () => draw(), stopped: () => sending.say(data.words["report.not_sent"]) });
  const root = el("div", { class: "handin inspecting batching reporting" }, zone, files, count, tray, textLabel, left, languageLabel, go, ...sending.parts);
  host.append(root);

  function draw() {
    const busy = sending.busy();
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
  }

  function drop(one) {
    chosen = chosen.filter((other) => other !== one);
    draw();
    sending.say(count.textContent);
  }

  function take(list) {
    sending.clear();
    const surplus = [];
    for (const file of list) {
      const pdf = /\.pdf$/i.test(file.name);
      const limit = pdf ? data.limits.pdf : data.limits.image;
      if (!ENDINGS.test(file.name)) sending.refuse(file.name, data.words["report.wrong_type"]);
      else if (file.size > limit) sending.refuse(file.name, fill(data.words["report.too_large"], { limit: Math.floor(limit / 1e6) }));
      else if (chosen.length >= data.most) surplus.push(file.name);
      else {
        const one = { file, name: file.name, url: "", id: "" };
        chosen.push(one);
        if (!pdf) preview(one);
      }
    }
    if (surplus.length) sending.refuse(surplus.join(", "), fill(data.words["report.too_many"], { most: data.most }));
    draw();
    sending.say(count.textContent);
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

  async function start() {
    const made = await sending.send({
      chosen,
      fields: { purpose: "vision", "expires_after[anchor]": "created_at", "expires_after[seconds]": "3600" },
      path: "/v1/reports",
      body: () => ({
        input: chosen.map(({ id, name }) => ({ type: "input_file", file_id: id, filename: name.slice(0, 255) })),
        instruction: text.value, language: language.value, background: true,
      }),
      name: data.words["report.begin"],
      saying: data.words["report.reading"],
      kept: false,
    });
    if (made === null) return;
    chosen = [];
    draw();
    send("done", made.id);
  }

  takeFiles(zone, [files], take);

  function update(given) {
    const first = data === null;
    data = given;
    const { words } = data;
    const own = { sending: words["report.sending"], stop: words["report.stop"], failed: words["report.failed"], no_answer: words["report.no_answer"] };
    sending.update({ language: data.language, words: own });
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
    draw();
  }
  const remove = () => {
    sending.close();
    root.remove();
  };
  return { update, remove };
}
