// Who looks, when and up to which level, over everything that is shown: a tile of text that repeats, in --vl-watermark
// of the root element, from where the page's and the viewer's sheets take it. Nothing scrolls it away.

const [WIDTH, HEIGHT, TILT] = [340, 210, -22];

let shown = null;
let offset = 0; // milliseconds by which this machine's clock is behind the service's
let timer = 0;

const escaped = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

function minute() {
  const at = new Date(Date.now() + offset);
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

function tile(lines) {
  const text = (line, x, y) => `<text x="${x}" y="${y}" transform="rotate(${TILT} ${x} ${y})">${escaped(line)}</text>`;
  const group = (x, y) => lines.map((line, row) => text(line, x + row * 8, y + row * 18)).join("");
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${HEIGHT}" font-size="13"`
    + ` font-family="system-ui, 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif" fill="#7a8693" fill-opacity="0.26">`
    + `${group(18, 92)}${group(188, 192)}</svg>`;
}

function draw() {
  const root = document.documentElement;
  if (!shown) {
    root.style.removeProperty("--vl-watermark");
    return;
  }
  const image = `url("data:image/svg+xml,${encodeURIComponent(tile([shown.who, `${minute()} · ${shown.level}`]))}")`;
  if (root.style.getPropertyValue("--vl-watermark") !== image) root.style.setProperty("--vl-watermark", image);
}

/** Shows `{who, level, now}`, with the service's time in seconds; null: nothing. */
export function mark(watermark) {
  shown = watermark;
  if (watermark) offset = watermark.now * 1000 - Date.now();
  clearInterval(timer);
  if (watermark) timer = setInterval(draw, 5000);
  draw();
}
