// What makes the pages easier where JavaScript runs. Every form works without it.
const all = (selector) => document.querySelectorAll(selector);
const byId = (id) => document.getElementById(id);

// Show a password while a person types it; hide it again before it is sent, so that no browser remembers it as text.
for (const button of all("[data-show]")) {
  const field = byId(button.dataset.show);
  const [show, hide] = button.children;
  const set = (shown) => {
    field.type = shown ? "text" : "password";
    show.hidden = shown;
    hide.hidden = !shown;
  };
  button.addEventListener("click", () => set(field.type === "password"));
  field.form.addEventListener("submit", () => set(false));
  button.hidden = false;
}

for (const hint of all("[data-caps]")) {
  const field = byId(hint.dataset.caps);
  const look = (event) => { hint.hidden = !event.getModifierState?.("CapsLock"); };
  field.addEventListener("keydown", look);
  field.addEventListener("keyup", look);
  field.addEventListener("blur", () => { hint.hidden = true; });
}

// Codes are pasted with spaces, and typed full width by Chinese input methods.
const digits = (text) => text.normalize("NFKC").replace(/\D/g, "").slice(0, 6);
for (const field of all("[data-digits]")) {
  const clean = () => {
    const value = digits(field.value);
    if (value !== field.value) field.value = value;
  };
  field.addEventListener("input", (event) => { if (!event.isComposing) clean(); });
  field.addEventListener("compositionend", clean);
  field.addEventListener("paste", (event) => {
    const value = digits(event.clipboardData.getData("text"));
    if (!value) return;
    event.preventDefault();
    field.value = value;
  });
}

for (const field of all("[data-same-as]")) {
  const other = byId(field.dataset.sameAs);
  const compare = () => {
    field.setCustomValidity(field.value && field.value !== other.value ? field.dataset.differ : "");
  };
  field.addEventListener("input", compare);
  other.addEventListener("input", compare);
}

for (const button of all("[data-print]")) {
  button.addEventListener("click", () => print());
  button.hidden = false;
}

// No clipboard without TLS beyond this machine: then there is no button.
for (const button of navigator.clipboard ? all("[data-copy]") : []) {
  const label = button.textContent;
  button.setAttribute("aria-live", "polite");
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(byId(button.dataset.copy).innerText.trim());
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, 2000);
  });
  button.hidden = false;
}

// A second press while the answer is on its way would use a one-time code twice.
for (const form of all("[data-once]")) {
  let sent = 0;
  form.addEventListener("submit", (event) => {
    if (sent && Date.now() - sent < 10_000) event.preventDefault();
    else sent = Date.now();
  });
  addEventListener("pageshow", () => { sent = 0; });
}

// What was typed stays when the language changes; never a password or a code.
const kept = `vlpro:${location.pathname}`;
try {
  const typed = JSON.parse(sessionStorage.getItem(kept) ?? "{}");
  sessionStorage.removeItem(kept);
  for (const field of all("[data-keep]")) if (typed[field.id] && !field.value) field.value = typed[field.id];
} catch { /* storage is closed, or holds something else */ }
for (const link of all("a.language")) {
  link.addEventListener("click", () => {
    const typed = Object.fromEntries([...all("[data-keep]")].map((field) => [field.id, field.value]));
    try { sessionStorage.setItem(kept, JSON.stringify(typed)); } catch { /* then it is typed again */ }
  });
}
