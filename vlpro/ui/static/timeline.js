// Records of the audit, the newest first: each opens to all its fields; people, sessions and more filter by a click.
import { calm, copy, el, icon } from "./dom.js";

export default function (host, send) {
  const root = el("div", { class: "timeline" });
  host.append(root);
  const opened = new Set(); // numbers of rows that stand open
  const unfolded = new Set(); // numbers of the newest rows of folded groups that stand open
  let words = {};

  const pick = (name, value, content, properties = {}) => el("button", {
    type: "button", class: "pick", title: words.only.replace("{value}", value), ...properties,
    onclick: () => send("pick", [name, value, Date.now()]),
  }, content);

  const badge = (tone, text) => el("span", { class: `badge ${tone}` }, text);

  function line({ text, mono, sub, badge: tone, pick: filter }) {
    const said = tone ? badge(tone, text) : el("span", { class: mono ? "mono" : "" }, text);
    return el("div", { class: "line" }, filter ? pick(filter[0], filter[1], said) : said, sub ? el("small", {}, sub) : null);
  }

  function inside(row) {
    const list = el("dl", {});
    for (const field of row.fields) list.append(el("dt", {}, field.name), el("dd", {}, ...field.lines.map(line)));
    const said = el("span", { class: "said", role: "status" });
    const take = async () => { said.textContent = (await copy(row.copy)) ? words.copied : words.copy_failed; };
    const read = row.content
      ? el("button", { type: "button", class: "small", onclick: () => send("content", [row.seq, Date.now()]) }, words.view)
      : null;
    const acts = el("div", { class: "acts" }, read, el("button", { type: "button", class: "small", onclick: take }, words.copy), said);
    return [list, acts];
  }

  function drawn(row) {
    const body = el("div", { class: "in", id: `record-${row.seq}`, hidden: true });
    const toggle = el("button", { type: "button", class: "open", "aria-label": row.label, "aria-controls": body.id }, row.action);
    const item = el("li", { class: `record ${row.link}`, "data-seq": row.seq });
    const show = (open) => {
      if (open && !body.firstChild) body.append(...inside(row));
      body.hidden = !open;
      toggle.setAttribute("aria-expanded", open);
      item.classList.toggle("on", open);
    };
    toggle.addEventListener("click", () => {
      const open = body.hidden;
      if (open) opened.add(row.seq);
      else opened.delete(row.seq);
      show(open);
    });
    const who = row.login ? pick("login", row.login, row.who, { class: "pick who" }) : el("span", { class: "who" }, row.who);
    const session = row.session
      ? pick("session", row.session, row.session.slice(-6), { class: "pick session", "aria-label": `${words.session} ${row.session}` })
      : el("span", { class: "session" });
    const chain = row.link === "broken" ? badge("bad", words.broken)
      : row.link === "unknown" ? el("span", { class: "chain unseen" }, words.unknown)
        : el("span", { class: "chain" }, icon("linked"), words.linked);
    item.append(el("div", { class: "brief" },
      el("span", { class: "time" }, row.time), el("span", { class: "seq" }, String(row.seq)), who, toggle,
      el("span", { class: "object", title: row.object }, row.object), session,
      el("span", { class: "state" }, badge(row.outcome.tone, row.outcome.text)), el("span", { class: "link" }, chain)), body);
    show(opened.has(row.seq));
    return item;
  }

  function folded(block) {
    const rows = el("ul", { class: "folded", hidden: true });
    const toggle = el("button", { type: "button", class: "open" }, block.text);
    const item = el("li", { class: "record fold" }, el("div", { class: "brief" },
      el("span", { class: "time" }, block.rows[0].time), el("span", { class: "seq" }, String(block.rows[0].seq)),
      el("span", { class: "who" }, block.who), toggle, el("span", { class: "object" }, block.times)), rows);
    const show = (open) => {
      if (open && !rows.firstChild) rows.append(...block.rows.map(drawn));
      rows.hidden = !open;
      toggle.setAttribute("aria-expanded", open);
    };
    toggle.addEventListener("click", () => {
      const open = rows.hidden;
      if (open) unfolded.add(block.id);
      else unfolded.delete(block.id);
      show(open);
    });
    show(unfolded.has(block.id) || block.rows.some((row) => opened.has(row.seq)));
    return item;
  }

  const shown = {
    day: (block) => el("li", { class: "day" }, el("b", {}, block.text), el("span", {}, block.count)),
    gap: (block) => el("li", { class: "gap", role: "alert", tabindex: "-1" }, icon("warning"), el("span", {}, block.text)),
    row: (block) => drawn(block.row),
    fold: folded,
  };

  let jumped = -1;
  const jump = () => { // to the next break; after the last one to the first
    const gaps = [...root.querySelectorAll(".gap")];
    jumped = (jumped + 1) % (gaps.length || 1);
    gaps[jumped]?.scrollIntoView({ block: "center", behavior: calm() ? "auto" : "smooth" });
    gaps[jumped]?.focus({ preventScroll: true });
  };
  addEventListener("vlpro:gap", jump);

  function update({ label, blocks, chips, empty, words: given }) {
    words = given;
    const focused = root.getRootNode().activeElement?.closest?.("[data-seq]")?.dataset.seq;
    const filters = el("div", { class: "chips" }, ...chips.map((chip) => el("button", {
      type: "button", class: "chip", "aria-label": chip.label, onclick: () => send("pick", [chip.name, "", Date.now()]),
    }, el("span", {}, chip.text), icon("close"))));
    const list = el("ul", { class: "records", "aria-label": label }, ...blocks.map((block) => shown[block.kind](block)));
    root.replaceChildren(...(chips.length ? [filters] : []), blocks.length ? list : el("p", { class: "none" }, empty));
    if (focused) root.querySelector(`[data-seq="${CSS.escape(focused)}"] .open`)?.focus({ preventScroll: true });
  }
  return { update, remove: () => removeEventListener("vlpro:gap", jump) };
}
