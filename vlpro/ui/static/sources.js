// What an answer cites: a click here, or on its number in the answer, opens the page with the passage marked.
import { openPage } from "./cited.js";
import { el, fill } from "./dom.js";

export default function (host) {
  const root = el("section", { class: "sources" });
  let opens = new Map(); // by the address of the answer's links
  host.append(root);

  function clicked(event) {
    const open = opens.get(event.target.closest?.("a")?.getAttribute("href"));
    if (!open) return;
    event.preventDefault();
    open();
  }
  document.addEventListener("click", clicked);

  function update({ passages, anchor, label, quoted, words }) {
    opens = new Map();
    const gone = el("p", { class: "gone", role: "alert", hidden: true }, words["knowledge.gone"]);
    const list = el("ol");
    for (const passage of passages) {
      const open = () => {
        gone.hidden = true;
        openPage(passage, words, () => { gone.hidden = false; });
      };
      opens.set(`${anchor}${passage.number}`, open);
      list.append(el("li", {}, el(
        "button", { type: "button", title: passage.text, "aria-label": fill(words["knowledge.open"], passage), onclick: open },
        el("i", {}, `[${passage.number}]`), el("span", {}, fill(words["knowledge.at"], passage)),
      ), quoted ? el("blockquote", {}, passage.text) : null));
      list.classList.toggle("quoting", quoted);
    }
    root.setAttribute("aria-label", label);
    root.replaceChildren(el("b", {}, label), list, gone);
  }
  const remove = () => document.removeEventListener("click", clicked);
  return { update, remove };
}
