// Keeps what is being written in view, until the reader scrolls up; a complete answer is shown from its beginning.

const NEAR = 80; // pixels from the end that count as the end
const SETTLING = 4000; // milliseconds for which a page grows after an answer is complete: evidence, actions

export class Follower {
  #following = true;
  #growing = false;
  #settledAt = 0;
  #top = 0;
  #watcher = new ResizeObserver(() => this.#keep());
  #scrolled = (event) => this.#note(event.target);

  constructor() {
    document.addEventListener("scroll", this.#scrolled, true);
  }

  get #page() {
    return document.querySelector('[data-testid="stMain"]');
  }

  /** An answer grows, or no longer does. */
  set growing(now) {
    if (this.#growing && !now) this.#settledAt = Date.now() + SETTLING;
    this.#growing = now;
    const content = document.querySelector(".st-key-chat");
    if (content) this.#watcher.observe(content);
    this.#keep();
  }

  /** Another conversation is shown, or a question was asked. */
  begin() {
    this.#following = true;
    this.#settledAt = Date.now() + SETTLING;
  }

  end() {
    document.removeEventListener("scroll", this.#scrolled, true);
    this.#watcher.disconnect();
  }

  #note(page) {
    if (page !== this.#page) return;
    const atEnd = page.scrollHeight - page.scrollTop - page.clientHeight < NEAR;
    const up = page.scrollTop < this.#top - 4;
    if (atEnd || up) this.#following = atEnd; // growing alone moves the end away, and is no reason to stop
    this.#top = page.scrollTop;
  }

  #keep() {
    const page = this.#page;
    if (!page || !this.#following) return;
    if (this.#growing) {
      // A complete answer is drawn before this is told so, and its end may lie far below its beginning.
      if (document.querySelector(".st-key-growing")) page.scrollTo({ top: page.scrollHeight });
    } else if (Date.now() < this.#settledAt) this.#toAnswer(page);
  }

  /** Shows as much of the last answer as fits, but not past its beginning. */
  #toAnswer(page) {
    const last = [...document.querySelectorAll('[class*="st-key-answer-"]')].at(-1);
    if (!last) return;
    const above = page.getBoundingClientRect().top + Number.parseFloat(getComputedStyle(last).scrollMarginTop);
    const start = page.scrollTop + last.getBoundingClientRect().top - above;
    page.scrollTo({ top: Math.max(page.scrollTop, Math.min(start, page.scrollHeight - page.clientHeight)) });
  }
}
