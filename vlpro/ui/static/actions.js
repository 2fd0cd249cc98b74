// What can be done with an answer: copy it, ask again, edit its question.
import { copy, el, iconButton } from "./dom.js";

export default function (host, send) {
  const root = el("div", { class: "actions", role: "group" });
  host.append(root);
  let timer = 0;
  const update = ({ text, question, busy, words }) => {
    const said = el("span", { class: "said", role: "status" });
    const copied = async () => {
      await copy(text);
      said.textContent = words.copied;
      clearTimeout(timer);
      timer = setTimeout(() => { said.textContent = ""; }, 2000);
    };
    const edit = () => dispatchEvent(new CustomEvent("vlpro:edit", { detail: question }));
    root.setAttribute("aria-label", words.actions);
    root.replaceChildren(
      ...(text ? [iconButton("copy", words.copy, copied)] : []),
      ...(question && !busy ? [
        iconButton("redo", words.regenerate, () => send("regenerate", question.id)),
        iconButton("edit", words.edit, edit),
      ] : []),
      said,
    );
  };
  return { update, remove: () => clearTimeout(timer) };
}
