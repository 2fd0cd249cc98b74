// Figures above a page's work; some of them choose what the page shows.
import { el } from "./dom.js";

export default function (host, send) {
  const root = el("div", { class: "figures" });
  host.append(root);
  const update = ({ label, figures }) => {
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", label);
    root.replaceChildren(...figures.map(({ name, value, sub = "", tone = "", pick = "", pressed = false, jump = "", title = "" }) => {
      const content = [
        el("span", { class: "name" }, name),
        tone ? el("span", { class: `badge ${tone}` }, value) : el("b", {}, value),
        el("small", {}, sub),
      ];
      if (jump) {
        const go = () => dispatchEvent(new CustomEvent("vlpro:gap"));
        return el("button", { type: "button", class: "figure", title: jump, onclick: go }, ...content);
      }
      return pick
        ? el("button", { type: "button", class: "figure", title, "aria-pressed": String(pressed), onclick: () => send("pick", [pick, Date.now()]) }, ...content)
        : el("div", { class: "figure" }, ...content);
    }));
  };
  return { update };
}
