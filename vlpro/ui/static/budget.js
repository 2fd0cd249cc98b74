// What the next question will take of the context: history, pictures, text, reply. An estimate while typing; the
// service counts again.
import { el, fill } from "./dom.js";

const WIDE = /[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]/;
const TOKENS = { wide: 0.7, narrow: 0.27 }; // a character, by Qwen's tokenizer, on average text

/** Tokens of a text, roughly. */
export function estimate(text) {
  let sum = 0;
  for (const character of text) sum += WIDE.test(character) ? TOKENS.wide : TOKENS.narrow;
  return Math.ceil(sum);
}

const number = (value) => value.toLocaleString("en");

export class Budget {
  constructor() {
    this.parts = [el("i"), el("i"), el("i")];
    this.sum = el("b");
    this.detail = el("span", { class: "detail" });
    this.verdict = el("span", { class: "verdict", role: "status" });
    this.element = el("div", { class: "budget" }, el("span", { class: "meter", "aria-hidden": "true" }, ...this.parts),
      this.sum, this.detail, this.verdict);
  }

  show({ history, images, typed, reply, limit, pictures, most, words }) {
    const total = history + images + typed + reply;
    const share = total / limit;
    [history, images, typed].forEach((value, place) => { this.parts[place].style.width = `${(value / limit) * 100}%`; });
    this.element.className = `budget${share > 1 ? " over" : share > 0.85 ? " near" : ""}`;
    this.sum.textContent = `${number(total)} / ${number(limit)} tokens`;
    this.detail.textContent = fill(words.budget, {
      history: number(history), images: number(images), typed: number(typed), reply: number(reply),
      pictures: String(pictures), most: String(most),
    });
    const verdict = share > 1 ? words.over : share > 0.85 ? words.near : "";
    if (this.verdict.textContent !== verdict) this.verdict.textContent = verdict;
  }
}
