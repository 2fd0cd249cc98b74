// A document under review: its picture with numbered boxes, its checks, and the form. A box and its field light up
// together; what somebody types goes to the service when the field is left, and comes back checked again.
import { el, fill, icon, iconButton } from "./dom.js";
import { Link, pictureWithBoxes } from "./overlay.js";
import { openViewer } from "./viewer.js";

const ICONS = { ok: "check", warn: "warning", bad: "close", plain: "less" };

export default function (host, send) {
  const stage = el("div", { class: "stage" });
  const caption = el("span", { class: "caption" });
  const bar = el("div", { class: "bar" });
  const checks = el("section", { class: "checks" });
  const form = el("form", { class: "fields", novalidate: true });
  const left = el("div", { class: "left" }, el("div", { class: "frame" }, bar, stage), checks);
  const root = el("div", { class: "receipt" }, el("div", { class: "receipt-in" }, left, form));
  host.append(root);

  let data = null;
  let rows = new Map(); // name → its elements
  let confirmed = new Set();
  let link = new Link();
  let frames = [];
  let shown = -1;
  let pressed = false; // sent, and not answered yet

  const act = (action, more = {}) => send("act", { action, id: data.id, version: data.version, ...more, at: Date.now() });
  const unsettled = () => data.unsettled.filter((name) => !confirmed.has(name));

  // --- the picture

  function show(index) {
    if (index === shown || !frames[index]) return;
    shown = index;
    stage.replaceChildren(frames[index]);
    const page = data.pages[index];
    caption.textContent = [page.name, `${index + 1}/${data.pages.length}`, `${page.width} × ${page.height}`].filter(Boolean).join(" · ");
    bar.querySelectorAll(".tab").forEach((tab, place) => tab.setAttribute("aria-pressed", String(place === index)));
  }

  function drawPictures() {
    link = new Link();
    shown = -1;
    const boxes = data.fields.map((field, place) => ({ ...field, number: place + 1 }));
    const pages = data.pages.map((page, index) => ({
      ...page, number: index + 1, id: `${data.id}-${index + 1}`,
      boxes: boxes.filter((field) => field.box && field.page === index + 1).map((field) => ({
        number: field.number, box: field.box, label: "", text: field.title, confidence: field.confidence, tone: field.tone,
      })),
    }));
    frames = pages.map((page) => pictureWithBoxes(page, page.url, { ...data.words, picture: data.words["receipts.picture"], "not_kept.why": data.words["receipts.gone"] }, link));
    pages.forEach((page, index) => page.boxes.forEach((box, place) => {
      const element = frames[index].querySelectorAll(".box")[place];
      if (box.tone) element.classList.add(box.tone);
      element.addEventListener("click", () => rows.get(boxes[box.number - 1].name)?.input.focus());
    }));
    const kept = pages.filter((page) => page.available);
    const enlarge = () => {
      if (pages[shown]?.available) openViewer({ pictures: kept, index: kept.indexOf(pages[shown]), active: link.held, words: data.words });
    };
    frames.forEach((frame) => frame.querySelector("img")?.addEventListener("click", enlarge));
    const tabs = pages.length < 2 ? [] : pages.map((page, index) => el(
      "button", { type: "button", class: "icon tab", "aria-label": fill(data.words["receipts.page"], page), onclick: () => show(index) }, String(page.number),
    ));
    const toggle = iconButton("boxes", data.words.boxes, () => toggle.setAttribute("aria-pressed", String(!stage.classList.toggle("bare"))), { "aria-pressed": "true" });
    bar.replaceChildren(...tabs, caption, ...(kept.length ? [toggle, iconButton("enlarge", data.words.enlarge, enlarge)] : []));
    show(0);
  }

  // --- the checks

  const badge = (tone, text) => el("span", { class: `badge ${tone}` }, icon(ICONS[tone] ?? "less"), text);

  function confirming(name, label) {
    const box = el("input", { type: "checkbox", onchange: () => {
      if (box.checked) confirmed.add(name);
      else confirmed.delete(name);
      settle();
    } });
    box.checked = confirmed.has(name) || data.confirmed.includes(name);
    box.disabled = data.confirmed.includes(name) || !data.open;
    return el("label", { class: "confirm" }, box, el("span", {}, data.words["receipts.confirm"]), el("span", { class: "unseen" }, label));
  }

  function drawChecks() {
    const { words } = data;
    const list = el("ul");
    for (const check of data.checks) {
      const more = check.confirmable ? confirming(check.name, check.message) : null;
      list.append(el("li", {}, badge(check.tone, words[check.word]), el("span", {}, check.message), more));
    }
    const passed = data.checks.filter((check) => check.tone === "ok").length;
    const head = el("div", { class: "head" }, el("h2", {}, words["receipts.checks"]), el("span", {}, `${passed} / ${data.checks.length}`));
    checks.replaceChildren(...(data.checks.length ? [head, list] : []), ...deliveries());
  }

  function deliveries() {
    if (!data.deliveries.length && !data.targets.length) return [];
    const list = el("ul", {}, ...data.deliveries.map((one) => el(
      "li", {}, badge(one.tone, one.target), el("span", {}, one.told),
      one.retry ? el("button", { type: "button", class: "link", onclick: () => act("retry", { delivery: one.id }) }, data.words["receipts.retry"]) : null,
    )), ...data.targets.map((target) => el("li", {}, el("button", { type: "button", class: "link", onclick: () => act("send", { target }) }, fill(data.words["receipts.send"], { target })))));
    return [el("div", { class: "head" }, el("h2", {}, data.words["receipts.deliveries"])), list];
  }

  // --- the form

  const sum = el("span", { role: "status" });
  const approve = el("button", { type: "submit", class: "small primary" });
  const back = el("button", { type: "button", class: "small", onclick: () => ask(true) });
  const drop = el("button", { type: "button", class: "small", onclick: () => act("delete") });
  const reason = el("input", { type: "text", maxlength: "500", required: true });
  const reasonLabel = el("label", { class: "reason" }, el("span"), reason);
  const sendBack = el("button", { type: "button", class: "small danger", onclick: () => {
    if (reason.value.trim()) act("return", { reason: reason.value.trim() });
    else reason.focus();
  } });
  const cancel = el("button", { type: "button", class: "small", onclick: () => ask(false) });
  const asking = el("div", { class: "decide asking", hidden: true }, reasonLabel, cancel, sendBack);
  const actions = el("div", { class: "decide" }, drop, back, approve);
  const keys = el("p", { class: "keys" });

  function ask(yes) {
    asking.hidden = !yes;
    actions.hidden = yes;
    (yes ? reason : back).focus();
  }

  function settle() {
    const count = unsettled().length;
    sum.textContent = count ? fill(data.words["receipts.left"], { count }) : data.words["receipts.settled"];
    approve.disabled = count > 0 || pressed;
    approve.title = count ? fill(data.words["receipts.approve.why"], { count }) : "";
    for (const [name, { row }] of rows) row.classList.toggle("confirmed", confirmed.has(name));
  }

  function drawRow(field, number) {
    let known = rows.get(field.name);
    if (!known) {
      const input = el("input", { type: "text", autocomplete: "off", spellcheck: "false", maxlength: "1000" });
      const label = el("label", {}, el("i"), el("span", { class: "title" }), el("em", {}, el("u", { "aria-hidden": "true" }, el("s")), el("span")));
      const text = el("p", { class: "why" });
      const row = el("div", { class: "field" }, label, input, text);
      const id = `field-${number}`;
      input.id = id;
      label.setAttribute("for", id);
      text.id = `${id}-why`;
      input.setAttribute("aria-describedby", text.id);
      const of = () => data.fields[number - 1];
      input.addEventListener("focus", () => {
        if (of().box) show(of().page - 1);
        link.hold(number, true);
      });
      row.addEventListener("pointerenter", () => link.join && stageBoxes(number, true));
      row.addEventListener("pointerleave", () => stageBoxes(number, false));
      input.addEventListener("change", () => {
        if (input.value.trim() === (of().shown ?? "")) return;
        confirmed.delete(of().name);
        act("correct", { fields: { [of().name]: input.value.trim() || null } });
      });
      input.addEventListener("keydown", (event) => {
        if (event.isComposing) return;
        event.stopPropagation(); // Streamlit reads single letters as commands
        if (event.key !== "Enter") return;
        event.preventDefault();
        input.blur();
        if (event.ctrlKey || event.metaKey) form.requestSubmit();
        else next(number);
      });
      known = { row, input, label, text, typed: null };
      rows.set(field.name, known);
    }
    const { row, input, label, text } = known;
    row.className = `field ${field.tone} ${field.long ? "long" : ""}`;
    label.children[0].textContent = String(number);
    label.children[1].textContent = field.title;
    const sure = Math.round(field.confidence * 100);
    const [, percent] = label.children[2].children;
    label.children[2].firstChild.firstChild.style.width = `${sure}%`;
    label.children[2].title = data.words.confidence;
    label.children[2].hidden = field.shown === null;
    percent.textContent = field.corrected ? data.words["receipts.corrected"] : `${sure}%`;
    if (input.getRootNode().activeElement !== input || input.value.trim() === (known.shown ?? "")) input.value = field.shown ?? "";
    known.shown = field.shown ?? "";
    input.readOnly = !data.open;
    input.setAttribute("aria-invalid", String(field.tone === "bad"));
    text.replaceChildren(...(field.why ? [icon("warning"), el("span", {}, field.why)] : []), ...(field.confirmable ? [confirming(field.name, field.title)] : []));
    return row;
  }

  /** The box of a field, while somebody points at its row. */
  function stageBoxes(number, pointed) {
    for (const element of stage.querySelectorAll(".box")) {
      if (element.firstChild.firstChild.textContent === String(number)) element.classList.toggle("on", pointed || link.held === number);
    }
  }

  /** To the next field that is not settled; at the end, to the button. */
  function next(from) {
    const waiting = new Set(unsettled());
    const after = data.fields.findIndex((field, place) => place >= from && (waiting.has(field.name) || field.tone === "warn"));
    if (after >= 0) rows.get(data.fields[after].name).input.focus();
    else approve.focus();
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (approve.disabled || !data.open) return;
    pressed = true;
    approve.disabled = true;
    act("approve", { confirmed: [...confirmed] });
  });

  function items() {
    if (!data.items.rows.length) return [];
    const table = el("table", {}, el("thead", {}, el("tr", {}, ...data.items.columns.map((name) => el("th", { scope: "col" }, name)))),
      el("tbody", {}, ...data.items.rows.map((cells) => el("tr", {}, ...cells.map((cell) => el("td", {}, cell))))));
    return [el("div", { class: "head wide" }, el("h2", {}, data.words["receipts.items"])), el("div", { class: "items wide", tabindex: "0", role: "group", "aria-label": data.words["receipts.items"] }, table)];
  }

  function update(given) {
    const other = data === null || data.id !== given.id;
    data = given;
    pressed = false;
    const { words } = data;
    if (other) {
      rows = new Map();
      confirmed = new Set();
      reason.value = "";
      asking.hidden = true;
      actions.hidden = false;
    }
    for (const name of confirmed) if (!data.unsettled.includes(name)) confirmed.delete(name);
    const focused = [...rows.values()].find(({ input }) => input.getRootNode().activeElement === input);
    const held = link.held;
    const page = shown;
    drawPictures();
    if (!other) {
      show(page);
      if (held !== null) link.hold(held, true);
    }
    drawChecks();
    [approve.textContent, back.textContent, drop.textContent] = [words["receipts.approve"], words["receipts.back"], words["receipts.delete"]];
    [sendBack.textContent, cancel.textContent, reasonLabel.firstChild.textContent] = [words["receipts.back.do"], words["receipts.cancel"], words["receipts.reason"]];
    keys.textContent = words["receipts.keys"];
    drop.hidden = !data.own;
    approve.hidden = back.hidden = keys.hidden = !data.open;
    const drawn = data.fields.map((field, place) => drawRow(field, place + 1));
    const head = el("div", { class: "head wide" }, el("h2", {}, words["receipts.form"]), data.open ? sum : null);
    if (other) form.replaceChildren(head, ...drawn, ...items(), actions, asking, keys);
    else {
      form.firstChild.replaceWith(head);
      if (focused && !focused.row.isConnected) focused.input.focus();
    }
    settle();
  }
  return { update };
}
