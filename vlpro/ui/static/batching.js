// Begins a batch: each file goes to the service by itself, straight from the browser, then they are asked about together.
import { el, fill, icon, takeFiles } from "./dom.js";
import { sender } from "./sending.js";

const ENDINGS = /\.(jpe?g|png|bmp|webp|pdf|zip)$/i;
const ACCEPT = ".jpg,.jpeg,.png,.bmp,.webp,.pdf,.zip";

export default function (host, send) {
  let data = null;
  let chosen = []; // { file, name, id }
  const files = el("input", { type: "file", multiple: true, hidden: true, accept: ACCEPT });
  const folder = el("input", { type: "file", webkitdirectory: true, hidden: true });
  const title = el("b");
  const hint = el("span");
  const zone = el("button", { type: "button", class: "dropzone tight", onclick: () => files.click() }, icon("add"), title, hint);
  const fromFolder = el("button", { type: "button", class: "link", onclick: () => folder.click() });
  const count = el("span");
  const clear = el("button", { type: "button", class: "link", onclick: () => { chosen = []; draw(); } });
  const picked = el("div", { class: "told" }, count, clear);
  const how = el("select", { onchange: () => draw() });
  const howLabel = el("label", { class: "line" }, el("span"), how);
  const text = el("textarea", { rows: 4, maxlength: 20000, oninput: () => draw() });
  const textLabel = el("label", { class: "words" }, el("span"), text);
  const go = el("button", { type: "button", class: "small primary", onclick: () => start() });
  const sending = sender({ changed: () => draw(), stopped: () => sending.say(data.words["batches.stopped"]) });
  const root = el("div", { class: "handin inspecting batching" }, zone, fromFolder, files, folder, picked, howLabel, textLabel, go, ...sending.parts);
  host.append(root);

  function draw() {
    const size = chosen.reduce((sum, { file }) => sum + file.size, 0);
    count.textContent = fill(data.words["batches.chosen"], { count: chosen.length, size: (size / 1e6).toFixed(1) });
    const busy = sending.busy();
    picked.hidden = !chosen.length || busy;
    textLabel.hidden = how.value !== "";
    go.disabled = busy || !chosen.length || (how.value === "" && !text.value.trim());
    zone.disabled = fromFolder.disabled = busy;
  }

  function take(list) {
    sending.clear();
    for (const file of list) {
      const name = file.webkitRelativePath || file.name;
      if (!ENDINGS.test(name)) {
        if (!file.webkitRelativePath) sending.refuse(name, data.words["batches.wrong_type"]);
      } else if (file.size > data.limit) sending.refuse(name, fill(data.words["batches.too_large"], { limit: Math.floor(data.limit / 1e6) }));
      else if (!file.size) sending.refuse(name, data.words["batches.empty"]);
      else chosen.push({ file, name, id: "" });
    }
    draw();
    sending.say(count.textContent);
  }

  async function start() {
    const asked = how.value ? { template: how.value } : { instruction: text.value };
    const made = await sending.send({
      chosen,
      fields: { purpose: "user_data" },
      path: "/v1/batches",
      body: () => ({ input: { file_ids: chosen.map(({ id }) => id) }, completion_window: "7d", ...asked }),
      name: data.words["batches.start"],
      kept: true,
    });
    if (made === null) return;
    chosen = [];
    draw();
    send("done", made.id);
  }

  takeFiles(zone, [files, folder], take);

  function update(given) {
    data = given;
    const { words } = data;
    const own = { sending: words["batches.sending"], stop: words["batches.stop"], failed: words["batches.failed"], no_answer: words["batches.no_answer"] };
    sending.update({ language: data.language, words: own });
    title.textContent = words["batches.add"];
    hint.textContent = words["batches.drop"];
    fromFolder.textContent = words["batches.folder"];
    clear.textContent = words["batches.clear"];
    howLabel.firstChild.textContent = words["batches.how"];
    textLabel.firstChild.textContent = words["batches.instruction"];
    text.placeholder = words["batches.instruction.hint"];
    go.textContent = words["batches.start"];
    const before = how.value;
    how.replaceChildren(el("option", { value: "" }, words["batches.ask"]), ...data.templates.map(({ name, title: shown }) => el("option", { value: name }, shown)));
    how.value = data.templates.some(({ name }) => name === before) ? before : "";
    draw();
  }
  const remove = () => {
    sending.close();
    root.remove();
  };
  return { update, remove };
}
