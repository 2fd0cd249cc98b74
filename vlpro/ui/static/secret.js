// Something that is told once: to be copied now.
import { copy, el } from "./dom.js";

export default function (host) {
  const root = el("div", { class: "secret" });
  host.append(root);
  let timer = 0;
  const update = ({ label, value, words }) => {
    const shown = el("output", { "aria-label": label, tabindex: "0" }, value);
    const said = el("span", { class: "said", role: "status" });
    const take = async () => {
      const done = await copy(value);
      said.textContent = done ? words.copied : words.copy_failed;
      clearTimeout(timer);
      timer = setTimeout(() => { said.textContent = ""; }, 3000);
      if (!done) getSelection().selectAllChildren(shown);
    };
    root.replaceChildren(el("b", {}, label), shown,
      el("div", { class: "take" }, el("button", { type: "button", class: "small", onclick: take }, words.copy), said));
  };
  return { update, remove: () => clearTimeout(timer) };
}
