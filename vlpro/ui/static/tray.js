// Pictures that wait to be sent. Each goes to the service at once (as a raw body, so that nothing is written to disk
// on its way), which checks it, tells its size in tokens before anything is asked, and lets the engine read it. They go
// one after another: each can then say what comes before it, and is read in its place.
import { pictureUrl } from "./dom.js";

const TYPES = /^image\/(jpeg|png|bmp|x-ms-bmp|webp)$/;
const ENDINGS = /\.(jpe?g|png|bmp|webp)$/i;

let nextKey = 1;

export class Tray {
  /** `changed()` after every change; `refused(sentence, requestId)` for a picture that cannot be taken. */
  constructor({ changed, refused }) {
    this.items = []; // {key, name, image} – image is null while it travels
    this.limits = { room: 16, most: 16, bytes: Infinity };
    this.conversation = ""; // in which they will be asked about
    this.last = Promise.resolve(); // of those that travel
    this.words = {};
    this.changed = changed;
    this.refused = refused;
  }

  get images() {
    return this.items.map((item) => item.image).filter(Boolean);
  }

  get travelling() {
    return this.items.some((item) => item.image === null);
  }

  /** Takes pictures that the service already has. */
  set(images) {
    this.items = images.map((image) => ({ key: nextKey++, name: "", image }));
    this.changed();
  }

  /** Takes files; those that cannot be taken are refused one by one, the others stay. */
  add(files) {
    const { room, most, bytes } = this.limits;
    const surplus = [];
    for (const file of files) {
      const name = file.name || this.words.pasted;
      if (!TYPES.test(file.type) && !ENDINGS.test(name)) this.refused("wrong_type", { name });
      else if (file.size > bytes) this.refused("too_large", { name, limit: Math.round(bytes / 1e6) });
      else if (this.items.length >= room) surplus.push(name);
      else {
        const item = { key: nextKey++, name, image: null };
        this.items.push(item);
        const send = () => this.#send(item, file);
        this.last = this.last.then(send, send); // whatever became of the one before
      }
    }
    if (surplus.length) this.refused("too_many", { most, names: surplus.join(", "), count: surplus.length });
    this.changed();
  }

  async #send(item, file) {
    if (!this.items.includes(item)) return; // removed before its turn
    const place = new URLSearchParams(this.conversation && { conversation: this.conversation });
    for (const { image } of this.items.slice(0, this.items.indexOf(item))) if (image) place.append("after", image.id);
    const post = (query) => fetch(`/v1/images${query}`, {
      method: "POST", body: file, headers: { "content-type": "application/octet-stream" },
    });
    try {
      let reply = await post(place.size ? `?${place}` : "");
      if (place.size && reply.status === 404) reply = await post(""); // what came before it is gone
      const answer = await reply.json();
      if (!reply.ok) this.#drop(item, answer.error, reply.headers.get("x-request-id"));
      else if (this.items.includes(item)) item.image = answer;
      else this.#forget(answer.id);
    } catch {
      this.#drop(item, null, null);
    }
    this.changed();
  }

  #drop(item, error, requestId) {
    this.items = this.items.filter((other) => other !== item);
    if (error) this.refused("by_service", { name: item.name, error, requestId });
    else this.refused("no_answer", { name: item.name });
  }

  /** Removes one before sending; the service forgets it. */
  remove(key, { keep = false } = {}) {
    const item = this.items.find((other) => other.key === key);
    this.items = this.items.filter((other) => other !== item);
    if (item?.image && !keep) this.#forget(item.image.id);
    this.changed();
  }

  /** The service no longer has this picture (it was restarted, or the picture was cleared). */
  lost(key) {
    this.remove(key, { keep: true });
  }

  #forget(id) {
    fetch(pictureUrl(id).replace(/\/content$/, ""), { method: "DELETE" }).catch(() => {});
  }
}
