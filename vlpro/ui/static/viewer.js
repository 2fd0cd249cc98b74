// The original size, over everything: zoom, pan, boxes, list. A native modal dialog: Escape closes it, focus stays
// inside and returns, and the page behind may redraw as it likes.
import { calm, el, fill, iconButton, pictureUrl } from "./dom.js";
import { boxList, corners, Link, pictureWithBoxes, PREVIEW } from "./overlay.js";

const STEP = 1.25;
const [LEAST, MOST] = [0.05, 8];

/** Opens at a picture of `pictures`, with the box `active` held where one is given. */
export function openViewer({ pictures, index = 0, active = null, words }) {
  const opener = document.activeElement?.shadowRoot?.activeElement ?? document.activeElement;
  const holder = el("div", { class: "vl-viewer" });
  const shadow = holder.attachShadow({ mode: "open" });
  const sheet = el("link", { rel: "stylesheet", href: new URL("./parts.css", import.meta.url).href });
  const dialog = el("dialog", { class: "viewer", "aria-label": words.viewer });
  shadow.append(sheet, dialog);
  document.body.append(holder);

  let keys = {};
  const draw = (at, held) => {
    const label = shadow.activeElement?.getAttribute("aria-label");
    dialog.replaceChildren(...contents(at, held));
    const again = [...dialog.querySelectorAll(".bar button")].find((button) => button.getAttribute("aria-label") === label);
    (again ?? dialog.querySelector(".stage")).focus(); // who turns the pages by keyboard must not be thrown out
  };
  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });
  dialog.addEventListener("close", () => {
    observer.disconnect();
    holder.remove();
    opener?.focus?.();
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  let refit = () => {};
  const observer = new ResizeObserver(() => refit());

  function contents(at, held) {
    const picture = pictures[at];
    const { width, height } = picture;
    const link = new Link();
    const frame = pictureWithBoxes(picture, picture.url ?? pictureUrl(picture.id), words, link);
    frame.style.background = `0 0 / 100% 100% url("${picture.url ?? pictureUrl(picture.id, PREVIEW)}")`; // until the original is here
    const stage = el("div", { class: "stage", tabindex: "0", role: "group", "aria-label": words.stage }, frame);
    const percent = el("span", { class: "percent", role: "status" });
    let scale = 1;
    let fitted = true;

    const zoom = (wanted, x = stage.clientWidth / 2, y = stage.clientHeight / 2) => {
      const before = scale;
      scale = Math.max(LEAST, Math.min(MOST, wanted));
      const [atX, atY] = [(stage.scrollLeft + x) / before, (stage.scrollTop + y) / before];
      frame.style.width = `${width * scale}px`;
      stage.scrollTo(atX * scale - x, atY * scale - y);
      percent.textContent = `${Math.round(scale * 100)}%`;
      fitted = false;
    };
    const fit = () => {
      if (!stage.clientWidth) return;
      zoom(Math.min(stage.clientWidth / width, stage.clientHeight / height, 4));
      fitted = true;
    };
    const goTo = (box) => {
      const [x1, y1, x2, y2] = corners(box);
      const close = Math.min(1.5, (stage.clientWidth * 0.7) / (x2 - x1), (stage.clientHeight * 0.7) / (y2 - y1));
      if (scale < close * 0.6) zoom(close);
      stage.scrollTo({
        left: ((x1 + x2) / 2) * scale - stage.clientWidth / 2,
        top: ((y1 + y2) / 2) * scale - stage.clientHeight / 2,
        behavior: calm() ? "auto" : "smooth",
      });
    };
    const boxes = iconButton("boxes", words.boxes, () => {
      boxes.setAttribute("aria-pressed", String(!stage.classList.toggle("bare")));
    }, { "aria-pressed": "true" });
    const turn = (step) => draw((at + step + pictures.length) % pictures.length, null);
    const several = pictures.length > 1;
    const bar = el(
      "div", { class: "bar" },
      several ? iconButton("previous", words.previous, () => turn(-1)) : null,
      several ? el("span", { class: "percent" }, `${at + 1}/${pictures.length}`) : null,
      several ? iconButton("next", words.next, () => turn(1)) : null,
      iconButton("less", words.smaller, () => zoom(scale / STEP)), percent,
      iconButton("add", words.larger, () => zoom(scale * STEP)), iconButton("fit", words.fit, fit),
      el("button", { type: "button", class: "icon", title: words.actual, "aria-label": words.actual, onclick: () => zoom(1) }, "1:1"),
      picture.boxes.length ? boxes : null,
      el("span", { class: "caption" }, `${fill(words.picture, picture)} · ${width} × ${height}`),
      iconButton("close", words.close, () => dialog.close()),
    );

    stage.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const place = stage.getBoundingClientRect();
      // A touchpad's pinch comes as many small steps, a wheel's notch as one large one.
      zoom(scale * Math.exp(-Math.max(-12, Math.min(12, event.deltaY)) / 100), event.clientX - place.left, event.clientY - place.top);
    }, { passive: false });
    keys = {
      "+": () => zoom(scale * STEP), "=": () => zoom(scale * STEP), "-": () => zoom(scale / STEP),
      0: fit, 1: () => zoom(1), b: () => boxes.click(),
      PageUp: () => several && turn(-1), PageDown: () => several && turn(1),
    };
    const spread = ([one, other]) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    let apart = 0; // of two fingers, pixels
    stage.addEventListener("touchstart", ({ touches }) => { apart = touches.length === 2 ? spread(touches) : 0; }, { passive: true });
    stage.addEventListener("touchmove", (event) => {
      if (event.touches.length !== 2 || !apart) return;
      event.preventDefault();
      const [one, other] = event.touches;
      const [before, place] = [apart, stage.getBoundingClientRect()];
      apart = spread(event.touches);
      zoom(scale * (apart / before), (one.clientX + other.clientX) / 2 - place.left, (one.clientY + other.clientY) / 2 - place.top);
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => {
      if (event.button || event.pointerType !== "mouse" || event.target.closest(".box")) return;
      const [x, y] = [event.clientX + stage.scrollLeft, event.clientY + stage.scrollTop];
      const drag = (moved) => stage.scrollTo(x - moved.clientX, y - moved.clientY);
      const end = () => {
        stage.classList.remove("dragging");
        stage.removeEventListener("pointermove", drag);
      };
      stage.classList.add("dragging");
      stage.setPointerCapture(event.pointerId);
      stage.addEventListener("pointermove", drag);
      stage.addEventListener("pointerup", end, { once: true });
      stage.addEventListener("pointercancel", end, { once: true });
    });

    let opened = false;
    refit = () => {
      if (fitted) fit();
      const box = !opened && picture.boxes.find((candidate) => candidate.number === held);
      opened = true;
      if (box) {
        link.hold(box.number, true);
        goTo(box);
      }
    };
    observer.disconnect();
    observer.observe(stage);
    const list = picture.boxes.length
      ? boxList([picture], words, link, (box) => {
        link.hold(box.number, true);
        goTo(box);
      })
      : null;
    return [el("div", { class: "frame" }, bar, stage), ...(list ? [list] : [])];
  }

  draw(index, active);
  sheet.addEventListener("load", () => {
    dialog.showModal();
    dialog.querySelector(".stage").focus();
  });
}
