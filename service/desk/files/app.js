// The page: its head, its navigation, and which part is shown.
import { html, render, useEffect, useState, useStore, place, addressOf, go, useKeys } from "./lib.js";
import { bundle, get, session, loadBundle, loadSession, signOut, waiting } from "./api.js";
import { Dialog, DomainNotice, Fault, Loading, Toasts } from "./ui.js";
import { SignIn } from "./signin.js";
import { MatchPage } from "./match.js";
import { GalleryPage } from "./gallery.js";
import { HistoryPage } from "./history.js";
import { WaitingPage } from "./waiting.js";
import { AboutPage } from "./about.js";
import { keepScroll } from "./scrolling.js";
import { T } from "./texts.js";

const PAGES = {
  match: MatchPage, gallery: GalleryPage, history: HistoryPage, waiting: WaitingPage,
  about: AboutPage,
};
/** The head asks for new hits at most this often, and only while the page is visible. */
const ASK_EVERY_MS = 40000;
const MOST_NEW = 20;
const THEMES = ["auto", "light", "dark"];

function useTheme() {
  const [theme, setTheme] = useState(() => localStorage.getItem("crossfix-theme") || "auto");
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("crossfix-theme", theme);
  }, [theme]);
  return [theme, () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length])];
}

/** The number of new matches, e.g. "3" or "20+"; null if there are none. */
function useNewHits(who) {
  const [count, setCount] = useState(null);
  const signedIn = Boolean(who?.name);
  useEffect(() => {
    if (!signedIn) return undefined;
    let asked = -Infinity;
    const ask = () => {
      if (document.hidden || performance.now() - asked < ASK_EVERY_MS) return;
      asked = performance.now();
      get("matches", { state: "new", limit: MOST_NEW }).then(({ matches, next_cursor: more }) => {
        setCount(matches.length ? `${matches.length}${more ? "+" : ""}` : null);
      }, () => {}); // the pages say what is wrong with the service
    };
    ask();
    const timer = setInterval(ask, ASK_EVERY_MS / 4);
    document.addEventListener("visibilitychange", ask);
    return () => { clearInterval(timer); document.removeEventListener("visibilitychange", ask); };
  }, [signedIn]);
  return signedIn ? count : null;
}

function Head({ page, who, onHelp }) {
  const fresh = useNewHits(who);
  const [theme, nextTheme] = useTheme();
  return html`<header class="head">
    <a class="skip" href="#main" onClick=${(event) => {
      event.preventDefault();
      document.getElementById("main").focus();
    }}>${T.skip}</a>
    <a class="brand" href=${addressOf("match")}>${T.brand}</a>
    <nav aria-label=${T.navigation}>
      ${Object.keys(PAGES).map((name) => html`<a key=${name} href=${addressOf(name)}
        aria-current=${name === page ? "page" : undefined}>${T.pages[name]}${name === "waiting" && fresh
          && html` <span class="badge">${T.waiting.count(fresh)}</span>`}</a>`)}
    </nav>
    <div class="head-tools">
      ${who?.requires_key && who.name && html`<span class="who">${T.signedIn(who.name, who.role)}</span>
        <button type="button" onClick=${signOut}>${T.signOut}</button>`}
      <button type="button" class="plain" onClick=${nextTheme}>${T.themes[theme]}</button>
      <button type="button" class="plain" onClick=${onHelp} aria-label=${T.help.open}>?</button>
    </div>
  </header>`;
}

function Help({ onClose }) {
  return html`<${Dialog} title=${T.help.title} onClose=${onClose}>
    <table class="keys"><tbody>
      ${T.help.keys.map(([keys, text]) => html`<tr key=${keys}>
        <th scope="row">${keys.split(" ").map((key) => html`<kbd>${key}</kbd> `)}</th><td>${text}</td>
      </tr>`)}
    </tbody></table>
    <p class="quiet">${T.help.api} <a href="docs">${T.help.apiLink}</a></p>
  <//>`;
}

function Desk() {
  const { page, id, query } = useStore(place);
  const who = useStore(session);
  const [error, setError] = useState(null);
  const [help, setHelp] = useState(false);
  const signedIn = Boolean(who?.name);
  const marked = Boolean(useStore(bundle)); // before, nothing says that the models are simulated
  const load = () => (who ? loadBundle() : loadSession()).then(() => setError(null), setError);
  useEffect(() => { if (!who || (signedIn && !marked)) load(); }, [signedIn]);
  useKeys((key) => key === "?" && (setHelp(true), true));
  const Page = PAGES[page];
  useEffect(() => {
    if (!Page) go("match", null, null, { replace: true });
    document.title = Page ? T.title(T.pages[page]) : T.brand;
  }, [page]);
  let content = null;
  if (error && (!who || (signedIn && !marked))) content = html`<${Fault} error=${error} retry=${load} />`;
  else if (!who) content = html`<${Loading} />`;
  else if (!signedIn && !who.ended) content = html`<${SignIn} />`;
  // What was being written stays, out of sight, when the session ends.
  const kept = Page && (signedIn || who?.ended) && html`<div class="page ${marked ? "" : "unmarked"}" key="page" hidden=${!signedIn}>
    <${Page} id=${id} query=${query} who=${who} /></div>`;
  return html`
    <${Head} page=${page} who=${who} onHelp=${() => setHelp(true)} />
    <${DomainNotice} />
    ${useStore(waiting) > 0 && html`<p class="domain" role="status">${T.errors.again}</p>`}
    <main id="main" tabindex="-1" class="page-${page}">${content}${kept}</main>
    <${Toasts} />
    ${!signedIn && who?.ended && html`<${Dialog} title=${T.signIn.title}><${SignIn} ended /><//>`}
    ${help && html`<${Help} onClose=${() => setHelp(false)} />`}`;
}

/** Files dropped where nothing takes them must not replace the page by what the browser shows of them. */
function keepPage(event) {
  if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  event.dataTransfer.dropEffect = "none";
}
addEventListener("dragover", keepPage);
addEventListener("drop", keepPage);

keepScroll();
render(html`<${Desk} />`, document.getElementById("desk"));
