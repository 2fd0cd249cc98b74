// What an answer rests on: the picture with its boxes, and the list beside it.
import { el, fill, iconButton, pictureUrl } from "./dom.js";
import { boxList, Link, pictureWithBoxes, PREVIEW } from "./overlay.js";
import { openViewer } from "./viewer.js";

export default function (host) {
  const root = el("section", { class: "evidence" });
  host.append(root);

  function update({ pictures, words }) {
    const link = new Link();
    const stage = el("div", { class: "stage" });
    const caption = el("span", { class: "caption" });
    const frames = pictures.map((picture) => pictureWithBoxes(picture, picture.url ?? pictureUrl(picture.id, PREVIEW), words, link));
    let shown = -1;

    const show = (index) => {
      if (index === shown) return;
      shown = index;
      stage.replaceChildren(frames[index]);
      large.hidden = pictures[index].available === false;
      caption.textContent = `${fill(words.picture, pictures[index])} · ${pictures[index].width} × ${pictures[index].height}`;
      tabs.forEach((tab, place) => tab.setAttribute("aria-pressed", String(place === index)));
    };
    const boxes = iconButton("boxes", words.boxes, () => {
      boxes.setAttribute("aria-pressed", String(!stage.classList.toggle("bare")));
    }, { "aria-pressed": "true" });
    const enlarge = () => {
      const seen = pictures.filter((picture) => picture.available !== false);
      if (seen.includes(pictures[shown])) openViewer({ pictures: seen, index: seen.indexOf(pictures[shown]), active: link.held, words });
    };
    const large = iconButton("enlarge", words.enlarge, enlarge);
    const tabs = pictures.length < 2 ? [] : pictures.map((picture, index) => el(
      "button", { type: "button", class: "icon", onclick: () => show(index) }, String(picture.number),
    ));
    const bar = el("div", { class: "bar" }, ...tabs, caption, boxes, large);
    frames.forEach((frame) => frame.querySelector("img")?.addEventListener("click", enlarge));

    const list = boxList(pictures, words, link, (box, picture) => {
      show(pictures.indexOf(picture));
      link.hold(box.number);
    });
    list.addEventListener("pointerover", (event) => {
      const number = Number(event.target.closest?.(".row")?.querySelector("i").textContent);
      const index = pictures.findIndex((picture) => picture.boxes.some((box) => box.number === number));
      if (index >= 0) show(index);
    });
    root.setAttribute("aria-label", words.evidence);
    root.replaceChildren(el("div", { class: "frame" }, bar, stage), list);
    show(0);
  }
  return { update };
}
