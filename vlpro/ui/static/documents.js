// The documents of a knowledge base: state, pages read of pages, stop, and delete after a question.
import { el, fill, icon, iconButton } from "./dom.js";

export default function (host, send) {
  let data = null;
  let asked = ""; // the document whose deletion is asked about
  const root = el("ul", { class: "documents" });
  const foot = el("div", { class: "foot", hidden: true });
  host.append(root, foot);

  function drawPager() {
    foot.hidden = !data.pager;
    if (!data.pager) return;
    const { words, pager } = data;
    const back = iconButton("previous", words.page_back, () => send("turn", [-1, Date.now()]));
    const on = iconButton("next", words.page_on, () => send("turn", [1, Date.now()]));
    [back.disabled, on.disabled] = [!pager.back, !pager.on];
    foot.replaceChildren(el("span", { class: "pages" }, pager.text), back, on);
  }

  function row(one) {
    const { words } = data;
    const name = el("b", {}, one.name);
    const detail = el("small", {}, one.detail);
    const item = el("li", { "data-name": one.name }, icon("document"), el("div", { class: "what" }, name, detail), el("span", { class: `badge ${one.tone}` }, one.state));
    const doing = el("div", { class: "doing" });
    if (data.writable && one.going) doing.append(iconButton("stop", fill(words["knowledge.stop_document"], one), () => send("stop", one.name)));
    if (data.writable) {
      doing.append(iconButton("close", fill(words["knowledge.delete_document"], one), () => {
        asked = one.name;
        draw();
        root.querySelector(".sure button:last-child")?.focus();
      }));
    }
    item.append(doing);
    if (one.going) {
      const bar = el("i");
      bar.style.width = `${one.pages ? (one.done / one.pages) * 100 : 0}%`;
      const values = { role: "progressbar", "aria-label": one.detail, "aria-valuemin": "0", "aria-valuemax": String(one.pages), "aria-valuenow": String(one.done) };
      item.append(el("div", { class: "meter", ...values }, bar));
    }
    if (one.why) item.append(el("p", { class: `why ${one.tone}` }, one.why));
    if (asked === one.name) {
      const no = () => {
        asked = "";
        draw();
      };
      item.append(el(
        "div", { class: "sure", role: "alert" }, el("span", {}, words["knowledge.sure"]),
        el(
          "div", {},
          el("button", { type: "button", class: "small danger", onclick: () => { no(); send("remove", one.name); } }, words["knowledge.delete.do"]),
          el("button", { type: "button", class: "small", onclick: no }, words["knowledge.keep"]),
        ),
      ));
    }
    return item;
  }

  function draw() {
    const focused = root.getRootNode().activeElement;
    const [of, label] = [focused?.closest("li")?.dataset.name, focused?.getAttribute("aria-label") ?? focused?.textContent];
    root.setAttribute("aria-label", data.words["knowledge.documents"]);
    root.replaceChildren(...(data.rows.length ? data.rows.map(row) : [el("li", { class: "none" }, data.empty)]));
    drawPager();
    if (!of) return;
    const buttons = [...root.querySelectorAll(`[data-name="${CSS.escape(of)}"] button`)];
    buttons.find((button) => (button.getAttribute("aria-label") ?? button.textContent) === label)?.focus({ preventScroll: true });
  }

  function update(given) {
    data = given;
    if (!data.rows.some(({ name }) => name === asked)) asked = "";
    draw();
  }
  return { update };
}
