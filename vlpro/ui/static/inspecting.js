// Hands a picture in to be inspected, with its golden picture or the product that has one; as JSON that stays in memory.
import { el, fill, icon, takeFiles } from "./dom.js";
import { shutDrawer } from "./drawer.js";

const TYPES = /^image\/(jpeg|png|bmp|x-ms-bmp|webp)$/;
const ENDINGS = /\.(jpe?g|png|bmp|webp)$/i;
const ACCEPT = ".jpg,.jpeg,.png,.bmp,.webp,image/jpeg,image/png,image/bmp,image/webp";
const NAME = "[^\\/\\\\#+$.][^\\/\\\\#+]{0,63}";

const dataUrl = (file) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result.replace(/^data:[^,]*,/, "data:application/octet-stream;base64,"));
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(file);
});

/** A zone that takes one picture by click or drop. */
function zoneFor(changed) {
  const files = el("input", { type: "file", hidden: true, accept: ACCEPT });
  const [title, hint] = [el("b"), el("span")];
  const button = el("button", { type: "button", class: "dropzone tight", onclick: () => files.click() }, icon("picture"), title, hint);
  const zone = { button, files, title, hint, file: null };
  takeFiles(button, [files], (list) => {
    if (list.length) changed(zone, list[0]);
  });
  return zone;
}

export default function (host, send) {
  let data = null;
  let abort = null; // of the inspection that runs
  let ticking = 0;
  const picture = zoneFor(choose);
  const golden = zoneFor(choose);
  const known = el("datalist", { id: "products" });
  const product = el("input", { type: "text", maxlength: 64, list: "products", pattern: NAME, autocomplete: "off" });
  const station = el("input", { type: "text", maxlength: 64, pattern: NAME, autocomplete: "off" });
  const method = el("select");
  const instruction = el("textarea", { rows: 2, maxlength: 2000 });
  const base = el("select");
  const keep = el("input", { type: "checkbox" });
  const line = (control) => el("label", { class: "line" }, el("span"), control);
  const lines = { product: line(product), station: line(station), method: line(method), instruction: line(instruction), base: line(base) };
  const keeping = el("label", { class: "line check" }, keep, el("span"));
  const go = el("button", { type: "button", class: "small primary", onclick: () => inspect() });
  const told = el("span");
  const halt = el("button", { type: "button", class: "small", onclick: () => abort?.abort() });
  const progress = el("div", { class: "progress", hidden: true }, el("div", { class: "told" }, told, halt), el("div", { class: "meter endless" }, el("i")));
  const wrong = el("ul", { class: "wrong" });
  const say = el("div", { class: "unseen", role: "status" });
  const root = el(
    "div", { class: "handin inspecting" }, picture.button, picture.files, golden.button, golden.files, known,
    lines.product, lines.station, keeping, lines.method, lines.instruction, lines.base, go, progress, wrong, say,
  );
  host.append(root);

  function choose(zone, file) {
    wrong.replaceChildren();
    if (!TYPES.test(file.type) && !ENDINGS.test(file.name)) refuse(fill(data.words["inspections.wrong_type"], { name: file.name }));
    else if (file.size > data.limit) refuse(fill(data.words["inspections.too_large"], { name: file.name, limit: Math.floor(data.limit / 1e6) }));
    else zone.file = file;
    draw();
  }

  const refuse = (why) => wrong.append(el("li", { role: "alert" }, icon("warning"), el("span", {}, why)));

  function draw() {
    const { words } = data;
    for (const [zone, name] of [[picture, "picture"], [golden, "golden"]]) {
      zone.title.textContent = words[`inspections.${name}`];
      zone.hint.textContent = zone.file?.name ?? words[`inspections.${name}.hint`];
      zone.button.classList.toggle("chosen", zone.file !== null);
    }
    const matches = ["auto", "template"].includes(method.value);
    golden.button.hidden = !matches;
    keeping.hidden = !matches || golden.file === null;
    keep.disabled = !product.value.trim();
    lines.instruction.hidden = !data.sees || method.value === "template";
    lines.base.hidden = !data.bases.length;
    go.disabled = abort !== null || picture.file === null;
    progress.hidden = abort === null;
  }

  async function call(path, method_, body, signal) {
    const reply = await fetch(path, { method: method_, signal, body: JSON.stringify(body), headers: { "content-type": "application/json" } });
    const answer = await reply.json();
    if (reply.ok) return answer;
    refuse((data.language === "zh" && answer.error.vlpro?.zh) || answer.error.message);
    return null;
  }

  async function inspect() {
    for (const field of [product, station]) {
      if (field.value && !field.checkValidity()) {
        refuse(data.words["inspections.bad_name"]);
        field.focus();
        return;
      }
    }
    wrong.replaceChildren();
    abort = new AbortController();
    const { signal } = abort;
    const began = Date.now();
    const tick = () => { told.textContent = fill(data.words["inspections.working"], { seconds: Math.round((Date.now() - began) / 1000) }); };
    tick();
    say.textContent = told.textContent;
    ticking = setInterval(tick, 1000);
    draw();
    try {
      const named = product.value.trim();
      const matches = !golden.button.hidden;
      const body = { image: { url: await dataUrl(picture.file) }, product: named, station: station.value.trim(), method: method.value, language: data.language };
      if (!lines.instruction.hidden && instruction.value.trim()) body.instruction = instruction.value.trim();
      if (base.value) body.knowledge_base = base.value;
      const image = matches && golden.file ? { url: await dataUrl(golden.file) } : null;
      const kept = image && keep.checked && named
        ? await call(`/v1/inspections/templates/${encodeURIComponent(named)}`, "PUT", { image }, signal) : null;
      if (image && !kept) body.template_image = image;
      if (wrong.childElementCount === 0) {
        const found = await call("/v1/inspections", "POST", body, signal);
        if (found) {
          picture.file = null;
          if (kept) golden.file = null;
          shutDrawer();
          send("done", found.id);
        }
      }
    } catch {
      if (!signal.aborted) refuse(data.words["inspections.no_answer"]);
    }
    clearInterval(ticking);
    abort = null;
    say.textContent = "";
    draw();
  }

  for (const field of [product, method]) field.addEventListener("input", draw);

  function update(given) {
    const first = data === null;
    data = given;
    const { words } = data;
    for (const name of Object.keys(lines)) lines[name].firstChild.textContent = words[`inspections.${name}`];
    keeping.lastChild.textContent = words["inspections.keep"];
    go.textContent = words["inspections.go"];
    halt.textContent = words["inspections.stop"];
    instruction.placeholder = words["inspections.instruction.hint"];
    known.replaceChildren(...data.products.map((name) => el("option", { value: name })));
    const chosen = first ? "auto" : method.value;
    method.replaceChildren(...data.methods.map(({ name, title }) => el("option", { value: name }, title)));
    method.value = chosen;
    const manual = base.value;
    base.replaceChildren(el("option", { value: "" }, words["inspections.base.none"]), ...data.bases.map(({ id, name }) => el("option", { value: id }, name)));
    base.value = data.bases.some(({ id }) => id === manual) ? manual : "";
    draw();
  }
  const remove = () => {
    clearInterval(ticking);
    abort?.abort();
    root.remove();
  };
  return { update, remove };
}
