// Small helpers that every part uses.

const paths = {
  add: "M12 5v14M5 12h14",
  boxes: "M4 4h10v10H4zM10 17v3h10V10h-3",
  check: "M5 12l5 5L19 7",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  dark: "M20 14A8.5 8.5 0 0 1 10 4a8.5 8.5 0 1 0 10 10",
  document: "M6 3h8l4 4v14H6zM14 3v4h4M9 12h6M9 16h6",
  edit: "M4 20h4L19 9l-4-4L4 16zM13 7l4 4",
  enlarge: "M14 4h6v6M20 4l-8 8M10 20H4v-6M4 20l8-8",
  fit: "M4 9V4h5M20 9V4h-5M4 15v5h5M20 15v5h-5",
  less: "M5 12h14",
  linked: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.4 1.4M17.6 17.6L19 19M5 19l1.4-1.4M17.6 6.4L19 5",
  next: "M9 5l7 7-7 7",
  picture: "M4 5h16v14H4zM4 16l5-5 4 4 3-3 4 4M15 9.5h.01",
  previous: "M15 5l-7 7 7 7",
  redo: "M20 11a8 8 0 1 0-2.3 5.7M20 4v7h-7",
  send: "M12 20V5M5 12l7-7 7 7",
  stop: "M7 7h10v10H7z",
  system: "M4 5h16v11H4zM9 20h6M12 16v4",
  warning: "M12 4l9 16H3zM12 10v4M12 17v.5",
};

const SVG = "http://www.w3.org/2000/svg";

/** An icon in the text's colour; decoration only, the control around it carries the name. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", paths[name]);
  svg.append(path);
  return svg;
}

/** An element; `properties` are set on it (`class`, `on…` and attributes as they are written in HTML). */
export function el(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** A button that shows an icon only. */
export function iconButton(name, label, onclick, properties = {}) {
  const { class: extra = "", ...others } = properties;
  const attributes = { type: "button", class: `icon ${extra}`, title: label, "aria-label": label, onclick };
  return el("button", { ...attributes, ...others }, icon(name));
}

/** Replaces {name} in a sentence. */
export const fill = (sentence, values) => sentence.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

export const pictureUrl = (id, size) => `/v1/images/${encodeURIComponent(id)}/content${size ? `?size=${size}` : ""}`;

/** Puts a text on the clipboard; tells whether it could. */
export async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch { // no clipboard without TLS beyond this machine
    const field = el("textarea", { "aria-hidden": "true" });
    field.value = text;
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

/** Files that are dropped on an element, or chosen by a file field, are given to `take`. */
export function takeFiles(zone, fields, take) {
  for (const field of fields) {
    field.addEventListener("change", () => {
      take([...field.files]);
      field.value = "";
    });
  }
  zone.addEventListener("dragover", (event) => {
    event.preventDefault();
    zone.classList.add("over");
  });
  zone.addEventListener("dragleave", () => zone.classList.remove("over"));
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    zone.classList.remove("over");
    if (!zone.disabled) take([...event.dataTransfer.files]);
  });
}
