// What an answer cites: a click opens the page with the passage marked.
import { openPage } from "./cited.js";
import { el, fill } from "./dom.js";

export default function (host) {
  const root = el("section", { class: "sources" });
  host.append(root);

  function update({ passages, words }) {
    const gone = el("p", { class: "gone", role: "alert", hidden: true }, words["knowledge.gone"]);
    const list = el("ol");
    for (const passage of passages) {
      const open = () => {
        gone.hidden = true;
        openPage(passage, words, () => { gone.hidden = false; });
      };
      list.append(el("li", {}, el(
        "button", { type: "button", title: passage.text, "aria-label": fill(words["knowledge.open"], passage), onclick: open },
        el("i", {}, `[${passage.number}]`), el("span", {}, fill(words["knowledge.at"], passage)),
      )));
    }
    root.setAttribute("aria-label", words["knowledge.sources"]);
    root.replaceChildren(el("b", {}, words["knowledge.sources"]), list, gone);
  }
  return { update };
}
