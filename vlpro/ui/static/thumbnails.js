// The pictures of a question; a click opens the original size, with the answer's boxes.
import { el, fill, icon, pictureUrl } from "./dom.js";
import { openViewer } from "./viewer.js";

export default function (host) {
  const root = el("div", { class: "thumbnails" });
  host.append(root);
  const update = ({ pictures, words }) => {
    root.replaceChildren(...pictures.map((picture) => {
      if (picture.available === false) {
        const label = `${fill(words.picture, picture)} · ${picture.width} × ${picture.height}`;
        return el("div", { class: "gone", role: "img", "aria-label": `${words.not_kept}: ${label}`, title: label },
          icon("picture"), words.not_kept);
      }
      const name = `${words.enlarge}: ${fill(words.picture, picture)}`;
      const image = el("img", { src: pictureUrl(picture.id, 320), alt: fill(words.picture, picture), loading: "lazy" });
      const seen = pictures.filter((one) => one.available !== false);
      const open = () => openViewer({ pictures: seen, index: seen.indexOf(picture), words });
      return el("button", { type: "button", "aria-label": name, title: name, onclick: open }, image);
    }));
  };
  return { update };
}
