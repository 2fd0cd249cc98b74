// Who looks, when and up to which level, over everything that is shown: a tile of text that repeats, in --vl-watermark
// of the root element, from where the page's and the viewer's sheets take it. Nothing scrolls it away.

const FONT = "13px system-ui, 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif";
const TILT = (-22 * Math.PI) / 180;
const [LINE, APART] = [18, 64]; // pixels between the lines, and between two texts

let shown = null;
let offset = 0; // milliseconds by which this machine's clock is behind the service's
let timer = 0;

const escaped = (text) => text.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);

function minute() {
  const at = new Date(Date.now() + offset);
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** Two texts, one right below the other, in a picture just large enough for both. */
function tile(lines) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = FONT;
  const long = Math.max(...lines.map((line) => pen.measureText(line).width));
  const [wide, high] = [long * Math.cos(TILT) + LINE, long * -Math.sin(TILT) + LINE * lines.length];
  const text = (line, row) => `<text y="${row * LINE}">${escaped(line)}</text>`;
  const group = (x, y) => `<g transform="translate(${x} ${y}) rotate(${(TILT * 180) / Math.PI})">${lines.map(text).join("")}</g>`;
  const [width, height] = [Math.ceil(2 * (wide + APART)), Math.ceil(2 * high + APART)];
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" style="font: ${escaped(FONT)}"`
    + ` fill="#7a8693" fill-opacity="0.26">${group(APART / 2, high)}${group(width / 2 + APART / 2, height - APART / 4)}</svg>`;
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
