// Language and light or dark. The language goes into a cookie, so that the next visit begins in it.
import { el, iconButton } from "./dom.js";

const YEAR = 365 * 24 * 3600;
const THEMES = { System: "system", Light: "light", Dark: "dark" };
const themeKey = (path) => `stActiveTheme-${path}-v2`; // where Streamlit 1.67 keeps its choice, page by page

function chosenTheme() {
  try {
    return JSON.parse(localStorage.getItem(themeKey(location.pathname))) ?? "System";
  } catch {
    return "System";
  }
}

export default function (host, send) {
  const root = el("div", { class: "preferences" });
  host.append(root);
  const update = ({ language, cookie, languages, paths, words }) => {
    document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
    const speak = (chosen) => {
      document.cookie = `${cookie}=${chosen}; path=/; max-age=${YEAR}; samesite=strict`;
      send("language", chosen);
    };
    const wear = (theme) => {
      for (const path of new Set([location.pathname, ...paths])) localStorage.setItem(themeKey(path), JSON.stringify(theme));
      location.reload();
    };
    root.replaceChildren(
      el("div", { class: "segments", role: "group", "aria-label": words.language }, ...Object.entries(languages).map(
        ([code, name]) => el("button", {
          type: "button", class: "icon", lang: code, "aria-pressed": String(code === language), onclick: () => speak(code),
        }, name),
      )),
      el("div", { class: "segments", role: "group", "aria-label": words.theme }, ...Object.entries(THEMES).map(
        ([theme, symbol]) => iconButton(symbol, words[symbol], () => wear(theme), {
          "aria-pressed": String(theme === chosenTheme()),
        }),
      )),
    );
  };
  return { update };
}
