// Saves a text as a file. It comes with the page's own data, for this person only: no address serves it.
export default function () {
  let saved = "";
  const update = ({ file }) => {
    if (!file || file.id === saved) return;
    saved = file.id;
    const url = URL.createObjectURL(new Blob([file.text], { type: file.type }));
    const link = document.createElement("a");
    Object.assign(link, { href: url, download: file.name });
    link.click(); // it stands nowhere on the page: a click there would close the menu
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  };
  return { update };
}
