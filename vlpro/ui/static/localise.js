// Runs before Streamlit. Streamlit's own English labels have no setting: they are translated here, by the page's
// language (the lang attribute of html, which the page sets). Portals (tooltips, dialogs) hang outside .stApp, so
// the root element is given Streamlit's colour scheme too.
(() => {
  const labels = {
    "Skip to main content": "跳到正文",
    "Sidebar": "侧栏",
    "Collapse sidebar": "收起侧栏",
    "Close sidebar": "收起侧栏",
    "Expand sidebar": "展开侧栏",
    "Open sidebar": "展开侧栏",
    "Close": "关闭",
    "Copy to clipboard": "复制",
    "Copied": "已复制",
    "Clear value": "清除",
    "Clear entry": "清除",
    "Open": "展开",
    "App pages": "页面",
    "Increment": "增大",
    "Decrement": "减小",
    "Choose an option": "请选择",
    "Choose options": "请选择",
    "Choose date": "选择日期",
    "Use arrow keys to navigate dates. Enter to select. Escape to close.": "方向键移动，回车选择，Esc 关闭。",
    "Selected values": "已选",
    "Page not found": "没有这个页面",
    "The page that you have requested does not seem to exist. Running the app's main page.":
      "地址中的页面不存在，已打开首页。",
    "No results": "没有符合的选项",
    "Select all": "全部选择",
    "Clear all": "全部清除",
    "Running...": "运行中…",
    "Connecting": "正在连接",
    "Connection error": "连接中断",
    "Is Streamlit still running? If you accidentally stopped Streamlit, just restart it in your terminal:":
      "服务没有响应。若它已停止，请在终端重新启动：",
    "Streamlit server is not responding. Are you connected to the internet?": "服务没有响应，页面会自动重新连接。",
  };
  const english = { // what would mislead where there is no internet
    "Streamlit server is not responding. Are you connected to the internet?":
      "The service does not answer. The page connects again by itself.",
    "The page that you have requested does not seem to exist. Running the app's main page.":
      "There is no page at this address. The first page is shown.",
  };
  const attributes = ["aria-label", "title", "placeholder"];
  const chinese = () => document.documentElement.lang.startsWith("zh");
  const translate = (node) => {
    if (node.nodeType === Node.TEXT_NODE) {
      const text = (chinese() ? labels : english)[node.nodeValue.trim()];
      if (text) node.nodeValue = text;
    } else if (node.nodeType === Node.ELEMENT_NODE) {
      for (const name of chinese() ? attributes : []) {
        const value = node.getAttribute(name);
        if (!value) continue;
        if (labels[value]) node.setAttribute(name, labels[value]);
        else if (value.startsWith("Help for ")) node.setAttribute(name, `${value.slice(9)}：说明`);
        else if (/^(year|month|day), /.test(value)) {
          node.setAttribute(name, value.replace(/^\w+, /, (part) => ({ y: "年，", m: "月，", d: "日，" })[part[0]]));
        } else if (value.startsWith("Choose date, ")) node.setAttribute(name, `选择日期，${value.slice(13)}`);
        else if (value.startsWith("Remove ")) node.setAttribute(name, `移除 ${value.slice(7)}`);
      }
      node.childNodes.forEach(translate);
    }
  };
  new MutationObserver((records) => {
    for (const record of records) {
      if (record.type === "childList") record.addedNodes.forEach(translate);
      else translate(record.target);
    }
  }).observe(document, {
    subtree: true, childList: true, characterData: true, attributes: true, attributeFilter: attributes,
  });
  const root = document.documentElement;
  new MutationObserver(() => {
    const app = document.querySelector(".stApp");
    const scheme = app && getComputedStyle(app).colorScheme;
    if (scheme && root.style.colorScheme !== scheme) root.style.colorScheme = scheme;
  }).observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: ["class"] });
})();
