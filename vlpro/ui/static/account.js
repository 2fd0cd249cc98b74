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
    const failed = el("small", { class: "failed", role: "alert" });
    const out = async () => {
      failed.textContent = (await signOut()) ? "" : words.sign_out_failed;
    };
    root.replaceChildren(
      el("div", { class: "who", title: `${name} · ${detail}` }, name, detail ? el("span", {}, ` · ${detail}`) : null),
      el("button", { type: "button", class: "icon out", onclick: out }, words.sign_out), failed,
    );
  };
  return { update };
}
