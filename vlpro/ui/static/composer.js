// Where a question is put together: text, pictures, budget, send or stop. A draft is kept until the service has
// taken the question: nothing that was typed is lost by a refusal, a reload or a lost connection.
import { Budget, estimate } from "./budget.js";
import { openDoors } from "./doors.js";
import { el, fill, icon, iconButton, pictureUrl } from "./dom.js";
import { shutDrawer } from "./drawer.js";
import { Follower } from "./follow.js";
import { Tray } from "./tray.js";
import { openViewer } from "./viewer.js";

const PATIENCE = 20_000; // milliseconds until a question that nobody took may be sent again

function storedDraft(place) {
  try {
    return JSON.parse(sessionStorage.getItem(place)) ?? {};
  } catch {
    return {};
  }
}

export default function (host, send) {
  let data = null;
  let editing = null; // the question that is being edited, with the draft that waits meanwhile
  let pending = null; // what was sent and not yet taken
  let patience = 0;
  let afterUpload = false; // Enter was pressed while a picture was travelling

  const field = el("textarea", { rows: "1", name: "question", spellcheck: "false" });
  const file = el("input", {
    type: "file", multiple: true, hidden: true, accept: ".jpg,.jpeg,.png,.bmp,.webp,image/jpeg,image/png,image/bmp,image/webp",
  });
  const add = iconButton("add", "", () => file.click(), { class: "add" });
  const go = el("button", { type: "submit", class: "go" }, icon("send"));
  const halt = el("button", { type: "button", class: "halt", onclick: () => send("stop", Date.now()) }, icon("stop"), el("span"));
  const budget = new Budget();
  const pictures = el("ul", { class: "tray" });
  const notices = el("div", { class: "notices" });
  const banner = el("div", { class: "banner", hidden: true });
  const say = el("div", { class: "unseen", role: "status", "aria-live": "polite" });
  const veil = el("div", { class: "veil", hidden: true }, icon("picture"), el("b"));
  const form = el("form", { class: "composer", novalidate: true }, notices, banner, el("div", { class: "box-in" }, pictures, field,
    el("div", { class: "tools" }, add, budget.element, halt, go)), file, say, veil);
  host.append(form);

  const tray = new Tray({
    changed: () => draw(),
    refused: (reason, details) => {
      const { error, requestId } = details;
      if (afterUpload) notices.replaceChildren(); // the promise to send: not without the picture that was refused
      afterUpload = false;
      const sentence = error ? (data.language === "zh" && error.vlpro?.zh) || error.message : data.words[reason];
      notify(error ? `${details.name}: ${sentence}` : fill(sentence, details), requestId);
    },
  });

  // --- what is seen ---

  function notify(sentence, requestId, kind = "bad") {
    const role = kind === "bad" ? "alert" : "status";
    const notice = el("div", { class: `notice ${kind}`, role }, icon(kind === "bad" ? "warning" : "picture"),
      el("p", {}, sentence, requestId ? el("small", {}, `${data.words.request} ${requestId}`) : null),
      iconButton("close", data.words.dismiss, () => notice.remove()));
    notices.append(notice);
  }

  function tile(item) {
    const { image } = item;
    const name = item.name || data.words.unnamed;
    if (!image) return el("li", { class: "travelling", title: name, "aria-label": `${data.words.uploading}: ${name}` });
    const picture = el("img", { src: pictureUrl(image.id, 320), alt: name });
    picture.addEventListener("error", () => tray.lost(item.key));
    const open = () => openViewer({
      pictures: tray.images.map((other, place) => ({ ...other, number: data.imagesBefore + place + 1, boxes: [] })),
      index: tray.images.indexOf(image), words: data.words,
    });
    const size = `${image.width} × ${image.height} · ${(image.bytes / 1e6).toFixed(1)} MB · ${image.tokens} tokens`;
    const small = image.shrunk
      ? fill(data.words.shrunk, { from: `${image.width}×${image.height}`, to: `${image.used_width}×${image.used_height}` }) : "";
    return el("li", { title: [name, size, small].filter(Boolean).join("\n") },
      el("button", { type: "button", "aria-label": `${data.words.enlarge}: ${name}`, onclick: open }, picture),
      image.shrunk ? el("small", {}, data.words.shrunk_short) : null,
      iconButton("close", `${data.words.remove}: ${name}`, () => tray.remove(item.key, { keep: Boolean(editing) }), { class: "remove" }));
  }

  function draw() {
    if (!data) return;
    const { words, limits } = data;
    const before = editing ? editing.question.imagesBefore : data.imagesBefore;
    tray.limits = { room: limits.images - before, most: limits.images, bytes: limits.bytes };
    tray.words = words;
    tray.conversation = editing ? "" : data.conversation;
    for (const item of tray.items) {
      const state = `${data.language} ${item.image?.id ?? ""} ${Boolean(editing)}`;
      if (item.state !== state) [item.state, item.element] = [state, tile(item)];
    }
    const tiles = tray.items.map((item) => item.element);
    if (tiles.length !== pictures.children.length || tiles.some((element, place) => element !== pictures.children[place])) {
      pictures.replaceChildren(...tiles);
    }
    pictures.hidden = !tray.items.length;
    banner.hidden = !editing;
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight, 200)}px`;
    const empty = !field.value.trim();
    go.disabled = empty || tray.travelling || Boolean(pending);
    go.title = empty ? words.send_empty : tray.travelling ? words.uploading : words.send;
    go.setAttribute("aria-label", words.send);
    go.hidden = data.busy;
    halt.hidden = !data.busy;
    field.readOnly = Boolean(pending);
    const images = tray.images.reduce((sum, image) => sum + image.tokens, 0);
    budget.show({
      history: data.history, images: Math.min(images, limits.pictureTokens || images), // the service reduces what is more
      typed: estimate(field.value), reply: data.reply, limit: limits.tokens,
      pictures: before + tray.items.length, most: limits.images, words,
    });
    const written = { text: field.value, images: tray.images };
    const draft = editing ? { ...editing.waiting, editing: { question: editing.question, ...written } } : written;
    sessionStorage.setItem(data.draft, JSON.stringify(draft));
    if (afterUpload && !tray.travelling) submit();
  }

  // --- sending, editing ---

  function submit() {
    if (tray.travelling && field.value.trim() && !data.busy && !pending) {
      if (!afterUpload) notify(data.words.after_upload, "", "info");
      afterUpload = true;
      return;
    }
    afterUpload = false;
    if (go.disabled || data.busy) return;
    pending = `${Date.now()}-${Math.random().toString(36).slice(2)}`;
    clearTimeout(patience);
    patience = setTimeout(() => {
      if (!pending) return;
      pending = null;
      notify(data.words.not_taken);
      draw();
    }, PATIENCE);
    notices.replaceChildren();
    send("ask", {
      nonce: pending, text: field.value.trim(), images: tray.images.map((image) => image.id),
      replaces: editing?.question.id ?? null,
    });
    draw();
  }

  function outcome({ nonce, refused, request_id: requestId }) {
    if (nonce !== pending) return;
    pending = null;
    clearTimeout(patience);
    if (refused) {
      notify(refused, requestId);
      return;
    }
    follower.begin();
    if (editing) endEditing();
    else {
      field.value = "";
      tray.set([]);
    }
  }

  function beginEditing(question) {
    const waiting = editing?.waiting ?? { text: field.value, images: tray.images };
    editing = { question, waiting };
    field.value = question.text;
    tray.set(question.images);
    field.focus();
    form.scrollIntoView({ block: "nearest" });
  }

  function endEditing() {
    const { waiting } = editing;
    editing = null;
    field.value = waiting.text;
    tray.set(waiting.images);
  }

  // --- the page around ---

  const follower = new Follower();
  const closeDoors = openDoors({
    take: (files) => tray.add(files),
    over: (held) => { veil.hidden = !held; },
    asked: {
      pick: () => file.click(),
      fill: (text) => {
        field.value = text;
        field.focus();
        const blank = text.indexOf("…");
        if (blank >= 0) field.setSelectionRange(blank, blank + 1); // what is typed next stands in its place
        draw();
      },
      edit: beginEditing,
    },
  });

  file.addEventListener("change", () => {
    tray.add([...file.files]);
    file.value = "";
    field.focus();
  });
  field.addEventListener("input", draw);
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== 229) {
      event.preventDefault();
      submit();
    } else if (event.key === "Escape" && editing) endEditing();
    event.stopPropagation(); // Streamlit reads single letters as commands
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });

  function update(next) {
    const first = data === null;
    if (first || next.conversation !== data.conversation) follower.begin();
    if (!first && next.chosen !== data.chosen) shutDrawer();
    data = next;
    const { words } = data;
    for (const [element, label] of [[field, words.question], [pictures, words.pictures], [form, words.composer]]) {
      element.setAttribute("aria-label", label);
    }
    field.placeholder = words.placeholder;
    for (const name of ["title", "aria-label"]) add.setAttribute(name, words.add);
    halt.querySelector("span").textContent = words.stop;
    veil.querySelector("b").textContent = words.drop;
    banner.replaceChildren(icon("edit"), el("span", {}, words.editing),
      el("button", { type: "button", class: "link", onclick: () => endEditing() }, words.cancel));
    if (say.textContent !== data.say) say.textContent = data.say; // Streamlit announces nothing by itself
    if (first) {
      const draft = storedDraft(data.draft);
      field.value = draft.text ?? "";
      tray.set(draft.images ?? []);
      const { editing: edit } = draft;
      if (edit && data.questions.includes(edit.question.id)) {
        beginEditing(edit.question);
        field.value = edit.text;
        tray.set(edit.images);
      } else if (edit && !field.value.trim()) field.value = edit.text;
    }
    if (data.outcome) outcome(data.outcome);
    if (editing && !data.questions.includes(editing.question.id)) {
      const { value } = field; // of another conversation now, but somebody wrote it
      endEditing();
      if (!field.value.trim()) field.value = value;
    }
    draw();
    follower.growing = data.busy;
  }

  function remove() {
    closeDoors();
    follower.end();
    clearTimeout(patience);
    form.remove();
  }
  return { update, remove };
}
