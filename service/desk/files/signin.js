// Signing in: an API key is pasted once and becomes a session cookie that scripts cannot read.
import { html, useState } from "./lib.js";
import { signIn } from "./api.js";
import { Field } from "./ui.js";
import { T } from "./texts.js";

/** `ended`: a session has ended, and what stood on the page is kept behind this form. */
export function SignIn({ ended }) {
  const [key, setKey] = useState("");
  const [error, setError] = useState(ended ? T.signIn.ended : null);
  const [busy, setBusy] = useState(false);
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await signIn(key.trim());
    } catch (problem) {
      setError(problem.status === 401 ? T.signIn.refused : problem.message);
      setBusy(false);
    }
  };
  return html`<form class=${ended ? "" : "sign-in panel"} onSubmit=${submit}>
    ${!ended && html`<h1>${T.signIn.title}</h1>`}
    <p>${T.signIn.text}</p>
    <${Field} label=${T.signIn.key} name="key" type="password" autocomplete="current-password"
      required autofocus value=${key} error=${error}
      onInput=${(event) => { setKey(event.target.value); setError(null); }} />
    <button class="primary" disabled=${busy || !key.trim()}>${T.signIn.submit}</button>
    <p class="quiet">${T.signIn.make} <code>crossfix keys create NAME --role curator</code></p>
  </form>`;
}
