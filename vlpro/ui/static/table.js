// Rows of people, sessions, keys: each opens by its first cell, several can be chosen together, long lists have pages.
import { el, fill, iconButton } from "./dom.js";

export default function (host, send) {
  const root = el("div", { class: "table" });
  host.append(root);
  let chosen = new Set();
  let opened = null; // the row whose button had the focus, for when its dialog closes

  function cell({ text = "", sub = "", badge = "", mono = false }, column, opens) {
    const said = badge ? el("span", { class: `badge ${badge}` }, text) : el("span", { class: mono ? "mono" : "" }, text);
    const below = sub ? el("small", {}, sub) : null;
    const content = opens ? el("button", { type: "button", class: "open", onclick: opens }, said, below) : el("div", {}, said, below);
    return el("div", { role: "cell", class: column.narrow ? "narrow" : "", "data-name": column.name }, content);
  }

  function update({ label, columns, rows, select = null, pager = null, empty, words }) {
    const known = new Set(rows.map((row) => row.id));
    chosen = new Set([...chosen].filter((id) => known.has(id)));
    const focused = root.getRootNode().activeElement?.closest?.("[data-id]")?.dataset.id;
    const table = el("div", { role: "table", class: "rows", "aria-label": label });
    const sizes = columns.map((column) => column.size ?? "minmax(0, 1fr)");
    table.style.setProperty("--columns", [...(select ? ["24px"] : []), ...sizes].join(" "));
    const heads = columns.map((column) => el("div", { role: "columnheader" }, column.name));
    const act = el("button", { type: "button", class: "small primary", onclick: () => send("act", [...chosen]) });
    const all = el("input", { type: "checkbox", "aria-label": words.choose_all, onchange: () => {
      chosen = new Set(all.checked ? rows.map((row) => row.id) : []);
      show();
    } });
    const boxes = new Map();
    const show = () => {
      for (const [id, box] of boxes) box.checked = chosen.has(id);
      all.checked = rows.length > 0 && chosen.size === rows.length;
      all.indeterminate = chosen.size > 0 && !all.checked;
      act.disabled = !chosen.size;
      act.textContent = chosen.size ? fill(select?.some ?? "", { count: chosen.size }) : select?.none ?? "";
    };
    table.append(el("div", { role: "row", class: "heads" },
      ...(select ? [el("div", { role: "columnheader" }, all)] : []), ...heads));
    for (const row of rows) {
      const opens = row.opens === false ? null : () => {
        opened = row.id;
        send("open", row.id);
      };
      const cells = row.cells.map((content, place) => cell(content, columns[place], place === 0 ? opens : null));
      if (select) {
        const box = el("input", { type: "checkbox", "aria-label": fill(words.choose, { name: row.cells[0].text }) });
        box.addEventListener("change", () => {
          if (box.checked) chosen.add(row.id);
          else chosen.delete(row.id);
          show();
        });
        boxes.set(row.id, box);
        cells.unshift(el("div", { role: "cell", class: "choice" }, box));
      }
      table.append(el("div", { role: "row", "data-id": row.id, class: `${opens ? "opens" : ""} ${row.dim ? "dim" : ""}` }, ...cells));
    }
    const foot = el("div", { class: "foot" });
    if (select) foot.append(act);
    if (pager) {
      const back = iconButton("previous", words.page_back, () => send("turn", [-1, Date.now()]));
      const on = iconButton("next", words.page_on, () => send("turn", [1, Date.now()]));
      [back.disabled, on.disabled] = [!pager.back, !pager.on];
      foot.append(el("span", { class: "pages" }, pager.text), back, on);
    }
    const content = [rows.length ? table : el("p", { class: "none" }, empty), ...(foot.children.length && (rows.length || pager) ? [foot] : [])];
    root.replaceChildren(...content);
    show();
    const again = focused ?? opened;
    if (focused) root.querySelector(`[data-id="${CSS.escape(again)}"] .open`)?.focus({ preventScroll: true });
  }
  return { update };
}
