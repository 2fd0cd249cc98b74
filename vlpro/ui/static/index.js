// The page's one component: `data.kind` names the part. Streamlit calls the default function again on every change;
// a part keeps its elements, so that focus, zoom and typed text survive.
import account from "./account.js";
import actions from "./actions.js";
import batching from "./batching.js";
import composer from "./composer.js";
import documents from "./documents.js";
import download from "./download.js";
import evidence from "./evidence.js";
import figures from "./figures.js";
import handin from "./handin.js";
import history from "./history.js";
import inspecting from "./inspecting.js";
import passages from "./passages.js";
import preferences from "./preferences.js";
import putting from "./putting.js";
import queue from "./queue.js";
import receipt from "./receipt.js";
import reporting from "./reporting.js";
import rules from "./rules.js";
import secret from "./secret.js";
import sources from "./sources.js";
import table from "./table.js";
import thumbnails from "./thumbnails.js";
import timeline from "./timeline.js";
import { leave } from "./watch.js";
import welcome from "./welcome.js";

const parts = {
  account, actions, batching, composer, download, evidence, figures, handin, history, leave, preferences, queue, receipt,
  rules,
  secret, table, thumbnails, timeline, welcome,
  inspecting, reporting,
  documents, passages, putting, sources,
};
const mounted = new WeakMap(); // parentElement → what stands in it

export default function ({ data, parentElement, setTriggerValue }) {
  let here = mounted.get(parentElement);
  if (!here || here.kind !== data.kind) {
    here?.part.remove?.();
    here = { kind: data.kind, send: setTriggerValue, shown: "" };
    here.part = parts[data.kind](parentElement, (name, value) => here.send(name, value));
    mounted.set(parentElement, here);
  }
  here.send = setTriggerValue;
  const shown = JSON.stringify(data);
  if (shown !== here.shown) {
    here.shown = shown;
    here.part.update(data);
  }
  return () => {
    here.part.remove?.();
    mounted.delete(parentElement);
  };
}
