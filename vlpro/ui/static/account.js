// Who is before the page, and the way out.
import { el } from "./dom.js";
import { signOut, watch } from "./watch.js";
import { mark } from "./watermark.js";

export default function (host) {
  const root = el("div", { class: "account" });
  host.append(root);
  const update = ({ id, idleMinutes, name, detail, watermark, words }) => {
    watch({ id, idleMinutes });
    mark(watermark);
    const out = async () => {
      root.querySelector(".failed")?.remove();
      if (!(await signOut())) root.append(el("small", { class: "failed", role: "alert" }, words.sign_out_failed));
    };
    root.replaceChildren(
      el("div", { class: "who", title: `${name} · ${detail}` }, name, detail ? el("span", {}, ` · ${detail}`) : null),
      el("button", { type: "button", class: "icon out", onclick: out }, words.sign_out),
    );
  };
  return { update };
}
