// Pages of a knowledge base's documents, opened in the viewer with the passage marked.
import { openViewer } from "./viewer.js";

export const pageUrl = ({ base, document: name, page }) =>
  `/v1/knowledge-bases/${encodeURIComponent(base)}/documents/${encodeURIComponent(name)}/pages/${page}`;

/** A passage as the viewer wants a picture; its boxes belong to one thing. */
export const asPicture = (passage, url, width, height) => ({
  ...passage, url, width, height, plain: true,
  boxes: passage.boxes.map((box) => ({ number: passage.number, box, point: null, label: "", text: passage.text, confidence: null })),
});

const dataUrl = (blob) => new Promise((resolve, reject) => {
  const reader = new FileReader();
  reader.onload = () => resolve(reader.result);
  reader.onerror = () => reject(reader.error);
  reader.readAsDataURL(blob);
});

let opening = false; // a second click changes nothing

/** Opens a passage's page; `gone` is called where it can no longer be had. */
export async function openPage(passage, words, gone) {
  if (opening) return;
  opening = true;
  const picture = new Image();
  try {
    // Asked for anew: a browser keeps the pictures of a page that is open, also of what was deleted since.
    const reply = await fetch(pageUrl(passage), { cache: "no-store" });
    if (!reply.ok) throw new Error(reply.statusText);
    picture.src = await dataUrl(await reply.blob());
    await picture.decode();
  } catch {
    gone();
    return;
  } finally {
    opening = false;
  }
  openViewer({ pictures: [asPicture(passage, picture.src, picture.naturalWidth, picture.naturalHeight)], active: passage.number, words });
}
