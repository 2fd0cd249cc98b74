// What was found: the page as a small picture with the passage marked, and its words, quoted letter by letter.
import { asPicture, openPage, pageUrl } from "./cited.js";
import { el, fill } from "./dom.js";
import { Link, pictureWithBoxes } from "./overlay.js";

const TALLEST = 260; // pixels of a small picture
const LINE = 26; // pixels of a quotation's

/** On a phone a quotation is longer than its place: what was asked for is seen at once. */
function toFirstMark(quote) {
  const mark = quote.querySelector("mark");
  const at = mark ? mark.offsetTop - quote.offsetTop : 0;
  if (at > quote.clientHeight - LINE) quote.scrollTop = at - LINE;
}

export default function (host) {
  const root = el("ol", { class: "passages" });
  host.append(root);

  function card(passage, words) {
    const [width, height] = passage.page_size;
    const url = pageUrl(passage);
    const gone = el("p", { class: "gone", role: "alert", hidden: true }, words["knowledge.gone"]);
    const open = () => {
      gone.hidden = true;
      openPage(passage, words, () => { gone.hidden = false; });
    };
    const name = fill(words["knowledge.open"], passage);
    const frame = pictureWithBoxes(asPicture(passage, url, width, height), url, words, new Link());
    frame.style.width = `min(100%, ${Math.round((TALLEST * width) / height)}px)`;
    const picture = frame.querySelector("img");
    picture.loading = "lazy";
    picture.addEventListener("error", () => { gone.hidden = false; });
    return el(
      "li", {},
      el("button", { type: "button", class: "thumb", "aria-label": name, title: name, onclick: open }, frame),
      el("div", { class: "quoted" },
        el("button", { type: "button", class: "where", onclick: open }, fill(words["knowledge.at"], passage)),
        passage.of ? el("small", {}, passage.of) : null,
        el("blockquote", {}, ...passage.parts.map(([text, found]) => (found ? el("mark", {}, text) : text))), gone),
    );
  }

  function update({ passages, label, words }) {
    root.setAttribute("aria-label", label);
    root.replaceChildren(...passages.map((passage) => card(passage, words)));
    root.querySelectorAll("blockquote").forEach(toFirstMark);
  }
  return { update };
}
