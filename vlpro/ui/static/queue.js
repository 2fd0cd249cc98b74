// Results that wait, or are decided: a list to choose from, and the files to take them out.
import { el } from "./dom.js";

export default function (host, send) {
  const root = el("nav", { class: "queue" });
  host.append(root);

  function update({ label, rows, chosen, empty, exports }) {
    const focused = root.getRootNode().activeElement?.dataset?.id;
    root.setAttribute("aria-label", label);
    const list = el("ul");
    for (const { id, name, amount = "", tone, state } of rows) {
      const button = el(
        "button",
        { type: "button", "data-id": id, "aria-current": id === chosen ? "true" : null, onclick: () => send("open", id) },
        el("i", { class: tone, "aria-hidden": "true" }), el("span", {}, name), el("b", {}, amount), el("small", { class: "unseen" }, state),
      );
      button.title = [name, amount, state].filter(Boolean).join(" · ");
      list.append(el("li", {}, button));
    }
    const out = exports && el("p", { class: "out" }, el("span", {}, exports.label), ...exports.files.map(({ name, url }) => el("a", { href: url, download: "" }, name)));
    root.replaceChildren(rows.length ? list : el("p", { class: "none" }, empty), ...(out ? [out] : []));
    if (focused) root.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }
  return { update };
}
