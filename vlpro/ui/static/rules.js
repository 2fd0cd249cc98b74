// The rules by which groups of the company's directory give a role and a level: a small table to edit.
import { el, fill, iconButton } from "./dom.js";

export default function (host, send) {
  const root = el("div", { class: "rules" });
  host.append(root);
  let rows = [];
  let timer = 0;

  function update({ rules, roles, levels, words }) {
    rows = rules.map((rule) => ({ ...rule }));
    const told = () => {
      clearTimeout(timer);
      timer = setTimeout(() => send("changed", { rows, at: Date.now() }), 0);
    };
    const choice = (row, name, options, label) => {
      const list = el("select", { "aria-label": label }, ...Object.entries(options).map(
        ([value, text]) => el("option", { value, selected: value === row[name] }, text),
      ));
      list.addEventListener("change", () => {
        row[name] = list.value;
        told();
      });
      return list;
    };
    const line = (row, place) => {
      const number = { number: place + 1 };
      const group = el("input", { type: "text", value: row.group, maxlength: "512", spellcheck: "false",
        "aria-label": fill(words.rule_group, number), placeholder: words.rule_example });
      group.addEventListener("change", () => {
        row.group = group.value.trim();
        told();
      });
      group.addEventListener("keydown", (event) => event.stopPropagation());
      const remove = iconButton("close", fill(words.rule_remove, number), () => {
        rows.splice(place, 1);
        draw();
        told();
      });
      return el("li", {}, group, choice(row, "role", roles, fill(words.rule_role, number)),
        choice(row, "level", levels, fill(words.rule_level, number)), remove);
    };
    const list = el("ol");
    const add = el("button", { type: "button", class: "small", onclick: () => {
      rows.push({ group: "", role: "user", level: "internal" });
      draw();
      list.lastElementChild.querySelector("input").focus();
    } }, words.rule_add);
    const draw = () => list.replaceChildren(...rows.map(line));
    draw();
    root.replaceChildren(list, add);
  }
  return { update, remove: () => clearTimeout(timer) };
}
