// Pages of a knowledge base's documents, opened in the viewer with the passage marked.
import { openViewer } from "./viewer.js";

export const pageUrl = ({ base, document: name, page }) =>
  `/v1/knowledge-bases/${encodeURIComponent(base)}/documents/${encodeURIComponent(name)}/pages/${page}`;

/** A passage as the viewer wants a picture; each of its boxes belongs to the one passage. */
export const asPicture = (passage, width, height) => ({
  ...passage, width, height, url: pageUrl(passage), plain: true,
  boxes: passage.boxes.map((box) => ({ number: passage.number, box, point: null, label: "", text: passage.text, confidence: null })),
});

/** Opens a passage's page; `gone` is called where it can no longer be had. */
export async function openPage(passage, words, gone) {
  const picture = new Image();
  picture.src = pageUrl(passage);
  try {
    await picture.decode();
  } catch {
    gone();
    return;
  }
  openViewer({ pictures: [asPicture(passage, picture.naturalWidth, picture.naturalHeight)], active: passage.number, words });
}
