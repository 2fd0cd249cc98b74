// The ways in: files dropped anywhere on the page, pictures pasted, and what other parts ask of the composer.

const holdsFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");

/**
 * Opens them; the function that comes back closes them.
 * `take(files)` for files, `over(yes)` while files are held over the page, `asked` by name for the other parts.
 */
export function openDoors({ take, over, asked }) {
  const closing = new AbortController();
  const listen = (target, name, handler) => target.addEventListener(name, handler, { signal: closing.signal });
  let inside = 0; // elements entered and not yet left

  const held = (event, change) => {
    if (!holdsFiles(event)) return;
    event.preventDefault();
    inside = change(inside);
    over(inside > 0);
  };
  listen(document, "dragenter", (event) => held(event, (depth) => depth + 1));
  listen(document, "dragover", (event) => held(event, (depth) => depth));
  listen(document, "dragleave", (event) => held(event, (depth) => Math.max(0, depth - 1)));
  listen(document, "drop", (event) => {
    held(event, () => 0);
    if (holdsFiles(event)) take([...event.dataTransfer.files]);
  });
  listen(document, "paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
  for (const [name, answer] of Object.entries(asked)) listen(window, `vlpro:${name}`, (event) => answer(event.detail));
  return () => closing.abort();
}
