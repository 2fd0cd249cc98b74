// A picture with numbered boxes over it, and the list of what they mark. A box and its row light up together.
import { el, fill } from "./dom.js";

export const PREVIEW = 1024; // pixels of the longer side of a picture beside an answer
const FEW = 6; // boxes whose labels may all stand on the picture; of more, that of the one pointed at
const SURE = 0.8; // below this confidence a finding asks for a second look

/** Where a place is: of a point all corners are the same. */
export const corners = ({ box, point }) => box ?? [...point, ...point];

const doubtful = (box) => box.confidence !== null && box.confidence < SURE;

/** The picture; boxes stand in percent, so they follow any size. */
export function pictureWithBoxes(picture, source, words, link) {
  const { width, height } = picture;
  const gone = picture.available === false;
  const image = gone ? el("p", {}, words["not_kept.why"]) : el("img", { src: source, alt: fill(words.picture, picture), width, height, draggable: "false" });
  const few = picture.boxes.length <= FEW ? " few" : "";
  const plain = picture.plain ? " plain" : ""; // all boxes belong to one thing: no numbers
  const frame = el("div", { class: `picture${few}${gone ? " gone" : ""}${plain}` }, image);
  if (gone) frame.style.aspectRatio = `${width} / ${height}`;
  for (const box of picture.boxes) {
    const [x1, y1, x2, y2] = corners(box);
    const marker = el("span", {}, String(box.number), box.label ? el("small", {}, box.label) : null);
    const atEdge = x2 / width > (few ? 0.8 : 0.94) ? " edge" : "";
    const element = el("div", { class: `box${box.point ? " point" : ""}${doubtful(box) ? " doubtful" : ""}${atEdge}`, title: box.label || box.text }, marker);
    Object.assign(element.style, {
      left: `${(x1 / width) * 100}%`, top: `${(y1 / height) * 100}%`,
    });
    if (box.box) Object.assign(element.style, { width: `${((x2 - x1) / width) * 100}%`, height: `${((y2 - y1) / height) * 100}%` });
    link.join(element, box.number);
    element.addEventListener("click", () => link.hold(box.number));
    frame.append(element);
  }
  return frame;
}

/** The rows beside the picture. */
export function boxList(pictures, words, link, pick) {
  const count = pictures.reduce((sum, picture) => sum + new Set(picture.boxes.map((box) => box.number)).size, 0);
  const list = el("ol", { "aria-label": words.evidence });
  for (const picture of pictures) {
    if (pictures.length > 1 && picture.boxes.length) list.append(el("li", { class: "of" }, fill(words.picture, picture)));
    const listed = new Set(); // a finding may have several boxes
    for (const box of picture.boxes) {
      if (listed.has(box.number)) continue;
      listed.add(box.number);
      const said = box.text || box.label;
      const above = box.text && box.label && box.label !== box.text ? el("small", {}, box.label) : null;
      const sure = box.confidence === null ? "" : `${Math.round(box.confidence * 100)}%`;
      const row = el(
        "button",
        { type: "button", class: `row${doubtful(box) ? " doubtful" : ""}`, onclick: () => pick(box, picture) },
        el("i", {}, String(box.number)), el("span", {}, above, el("b", {}, said)),
        el("em", { title: doubtful(box) ? words.doubtful : "" }, sure),
      );
      link.join(row, box.number);
      list.append(el("li", {}, row));
    }
  }
  const anySure = pictures.some((picture) => picture.boxes.some((box) => box.confidence !== null));
  const head = el("div", { class: "head" }, el("b", {}, `${words.evidence} ${count}`), el("span", {}, anySure ? words.confidence : ""));
  return el("div", { class: "list" }, head, list);
}

/** Which box is pointed at and which is held by a click. */
export class Link {
  #members = new Map(); // number → elements
  held = null;

  join(element, number) {
    if (!this.#members.has(number)) this.#members.set(number, []);
    this.#members.get(number).push(element);
    const point = () => this.#show(number, true);
    const leave = () => this.#show(number, false);
    element.addEventListener("pointerenter", () => {
      point();
      if (element.matches(".box")) this.#reveal(number);
    });
    element.addEventListener("pointerleave", leave);
    element.addEventListener("focus", point);
    element.addEventListener("blur", leave);
  }

  /** Holds a box until another one, or the same again, is chosen; `always` keeps it held. */
  hold(number, always = false) {
    const before = this.held;
    this.held = before === number && !always ? null : number;
    if (before !== null) this.#show(before, false);
    if (this.held !== null) this.#show(this.held, true);
  }

  /** Brings a box's row into view, within its list only. */
  #reveal(number) {
    const row = this.#members.get(number).find((element) => element.matches("button"));
    const list = row?.closest("ol");
    if (!list) return;
    const [seen, place] = [list.getBoundingClientRect(), row.getBoundingClientRect()];
    if (place.top < seen.top) list.scrollTop -= seen.top - place.top;
    else if (place.bottom > seen.bottom) list.scrollTop += place.bottom - seen.bottom;
  }

  #show(number, pointed) {
    for (const element of this.#members.get(number) ?? []) {
      element.classList.toggle("on", pointed || number === this.held);
      element.classList.toggle("held", number === this.held);
      if (element.matches("button")) element.setAttribute("aria-current", String(number === this.held));
    }
  }
}
