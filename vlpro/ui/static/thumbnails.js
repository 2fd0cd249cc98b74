// The pictures of a question; a click opens the original size, with the answer's boxes.
import { el, fill, pictureUrl } from "./dom.js";
import { openViewer } from "./viewer.js";

export default function (host) {
  const root = el("div", { class: "thumbnails" });
  host.append(root);
  const update = ({ pictures, words }) => {
    root.replaceChildren(...pictures.map((picture, index) => {
      const name = `${words.enlarge}: ${fill(words.picture, picture)}`;
      const image = el("img", { src: pictureUrl(picture.id, 320), alt: fill(words.picture, picture), loading: "lazy" });
      const open = () => openViewer({ pictures, index, words });
      return el("button", { type: "button", "aria-label": name, title: name, onclick: open }, image);
    }));
  };
  return { update };
}
