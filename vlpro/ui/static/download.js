// Saves a file: a text that comes with the page's own data, for this person only, so that no address serves it; or what
// the service sends from an address of its own, which the browser writes to the disk while it comes.
export default function () {
  let saved = "";
  const update = ({ file }) => {
    if (!file || file.id === saved) return;
    saved = file.id;
    const url = file.url || URL.createObjectURL(new Blob([file.text], { type: file.type }));
    const link = document.createElement("a");
    Object.assign(link, { href: url, download: file.name });
    link.click(); // it stands nowhere on the page: a click there would close the menu
    if (!file.url) setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  return { update };
}
