// Passkeys (WebAuthn level 3): sign in with one, or add one. The button says where to ask and what to say.
const button = document.getElementById("passkey");
const problem = document.getElementById("passkey-error");
const words = button.dataset;
const named = words.name ? document.getElementById(words.name) : null;
const password = words.password ? document.getElementById(words.password) : null;
const adding = named !== null;

/** A refusal in the words of the service. */
class Refused extends Error {}

const toBytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));

const toText = (bytes) => btoa(Array.from(new Uint8Array(bytes), (byte) => String.fromCharCode(byte)).join(""))
  .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

const withBytes = (list) => list?.map((entry) => ({ ...entry, id: toBytes(entry.id) }));

/** Options for the browser, from their JSON form (sections 5.1.8 and 5.1.9). */
function parse(options) {
  const native = adding ? "parseCreationOptionsFromJSON" : "parseRequestOptionsFromJSON";
  if (PublicKeyCredential[native]) return PublicKeyCredential[native](options);
  const parsed = { ...options, challenge: toBytes(options.challenge) };
  if (options.user) parsed.user = { ...options.user, id: toBytes(options.user.id) };
  if (options.excludeCredentials) parsed.excludeCredentials = withBytes(options.excludeCredentials);
  if (options.allowCredentials) parsed.allowCredentials = withBytes(options.allowCredentials);
  return parsed;
}

/** What the authenticator answered, in its JSON form (section 5.1.7). */
function toJson(credential) {
  if (credential.toJSON) return credential.toJSON();
  const { response } = credential;
  const fields = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];
  const answer = {};
  for (const field of fields) if (response[field]) answer[field] = toText(response[field]);
  if (response.getTransports) answer.transports = response.getTransports();
  return {
    id: credential.id,
    rawId: toText(credential.rawId),
    type: credential.type,
    response: answer,
    clientExtensionResults: credential.getClientExtensionResults(),
    ...(credential.authenticatorAttachment && { authenticatorAttachment: credential.authenticatorAttachment }),
  };
}

/** Goes to another page of this site; never to another site. */
function go(next) {
  const url = new URL(next, location.href);
  if (url.origin !== location.origin) throw new Refused();
  location.assign(url);
}

/** The service's answer; null where it sent us to another page instead. */
async function post(address, content) {
  let response;
  try {
    response = await fetch(address, {
      method: "POST",
      headers: { "content-type": "application/json", accept: "application/json" },
      body: JSON.stringify(content),
    });
  } catch {
    throw new Refused(words.offline);
  }
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (typeof answer.next === "string") { // the sign-in has expired
    go(answer.next);
    return null;
  }
  const chinese = document.documentElement.lang.startsWith("zh");
  throw new Refused((chinese && answer.error?.vlpro?.zh) || answer.error?.message || words.failed);
}

function say(error) {
  const known = { NotAllowedError: words.cancelled, AbortError: words.cancelled, InvalidStateError: words.registered,
    SecurityError: words.address };
  problem.textContent = (error instanceof Refused && error.message) || known[error.name] || words.failed;
  problem.hidden = false;
}

async function run() {
  const proof = password ? { password: password.value } : {};
  const options = await post(words.options, proof);
  if (!options) return;
  const publicKey = parse(options.publicKey ?? options);
  const credential = adding
    ? await navigator.credentials.create({ publicKey })
    : await navigator.credentials.get({ publicKey });
  const name = adding ? { name: named.value.trim() } : {};
  const answer = await post(words.finish, { credential: toJson(credential), ...name, ...proof });
  if (!answer) return;
  go(answer.next);
}

async function press() {
  if (button.getAttribute("aria-disabled") === "true") return;
  if (password && !password.reportValidity()) return;
  const label = button.textContent;
  problem.hidden = true;
  button.setAttribute("aria-disabled", "true"); // and not disabled: the focus stays on it
  button.textContent = words.waiting;
  try {
    await run();
  } catch (error) {
    say(error);
  } finally {
    button.removeAttribute("aria-disabled");
    button.textContent = label;
  }
}

if (window.PublicKeyCredential && isSecureContext) {
  document.querySelector("[data-passkey-missing]").hidden = true;
  document.querySelector("[data-passkey-part]").hidden = false;
  button.addEventListener("click", press);
  named?.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.isComposing) return;
    event.preventDefault();
    press();
  });
  if ("focus" in words) button.focus();
}
