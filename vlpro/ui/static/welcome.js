// The empty page: where pictures go, and questions to begin with. The composer does the work.
import { el, icon } from "./dom.js";

export default function (host) {
  const root = el("div", { class: "welcome" });
  host.append(root);
  const tell = (name, detail) => dispatchEvent(new CustomEvent(name, { detail }));
  const touch = matchMedia("(pointer: coarse)").matches;
  const update = ({ starters, words }) => {
    root.replaceChildren(
      el("button", { type: "button", class: "dropzone", onclick: () => tell("vlpro:pick") },
        icon("picture"), el("b", {}, touch ? words.add : words.drop), el("span", {}, words.formats)),
      el("ul", { "aria-label": words.starters }, ...starters.map(({ title, text }) => el("li", {},
        el("button", { type: "button", title: text === title ? null : text, onclick: () => tell("vlpro:fill", text) }, title)))),
    );
  };
  return { update };
}
