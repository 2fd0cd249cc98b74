// Conversations, last used first, and search in what was said in them.
import { el } from "./dom.js";

const PAUSE = 250; // milliseconds without a key after which a search begins
const PATIENCE = 8000; // milliseconds for which a message is waited for that is to be shown

/** Brings a message into view as soon as the page has it. */
function reveal(message) {
  const until = Date.now() + PATIENCE;
  const look = () => {
    const found = document.querySelector(`[class*="st-key-ask-${message}"], [class*="st-key-answer-${message}"]`);
    if (found) {
      // After the page has settled: it shows a conversation's last answer by itself.
      setTimeout(() => found.scrollIntoView({ block: "center" }), 400);
    } else if (Date.now() < until) setTimeout(look, 100);
  };
  look();
}

export default function (host, send) {
  const field = el("input", { type: "search", autocomplete: "off", spellcheck: "false", maxlength: "200" });
  const told = el("p", { class: "hint", role: "status", "aria-live": "polite" });
  const list = el("div", { class: "talks" });
  const more = el("button", { type: "button", class: "link", onclick: () => send("more", Date.now()) });
  const root = el("div", { class: "history" }, field, told, list, more);
  host.append(root);
  let timer = 0;
  let asked = "";

  function find() {
    clearTimeout(timer);
    const wanted = field.value.trim();
    if (wanted === asked) return;
    asked = wanted;
    root.setAttribute("aria-busy", String(Boolean(wanted)));
    send("find", wanted);
  }
  field.addEventListener("input", (event) => {
    clearTimeout(timer);
    if (!event.isComposing) timer = setTimeout(find, field.value ? PAUSE : 0);
  });
  field.addEventListener("compositionend", () => { timer = setTimeout(find, PAUSE); });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.isComposing) find();
    else if (event.key === "Escape" && field.value) {
      field.value = "";
      find();
      event.preventDefault();
    }
    event.stopPropagation(); // Streamlit reads single letters as commands
  });

  function sentence({ text, begin, end }) {
    // Offsets count characters, JavaScript's strings count UTF-16 units.
    const letters = [...text];
    const part = (from, to) => letters.slice(from, to).join("");
    return el("small", {}, part(0, begin), el("mark", {}, part(begin, end)), part(end));
  }

  function talk(item) {
    const open = () => {
      send("open", item.id);
      if (item.excerpt) reveal(item.excerpt.message);
    };
    const attributes = { type: "button", class: "talk", onclick: open, "data-id": item.id, title: item.title };
    if (item.here) attributes["aria-current"] = "page";
    return el("button", attributes,
      el("span", {}, item.title), item.excerpt ? sentence(item.excerpt) : null);
  }

  function update({ items, find: shown, searchable, status, problem, left, words }) {
    const focused = root.getRootNode().activeElement?.dataset?.id;
    field.hidden = !searchable;
    field.placeholder = words.find;
    field.setAttribute("aria-label", words.find);
    if (shown === "" && root.getRootNode().activeElement !== field && !timer) field.value = "";
    root.setAttribute("aria-busy", "false");
    told.hidden = !status && !problem;
    told.textContent = problem || status;
    told.className = problem ? "hint bad" : "hint";
    let day = null;
    const rows = [];
    for (const item of items) {
      if (item.day && item.day !== day) rows.push(el("h3", {}, item.day));
      day = item.day;
      rows.push(talk(item));
    }
    list.replaceChildren(...rows);
    more.hidden = !left;
    more.textContent = left;
    if (focused) list.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
  return { update, remove: () => clearTimeout(timer) };
}
