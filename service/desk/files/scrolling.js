// How far the page was scrolled, kept with each entry of the browser's history for Back and reload.
const PATIENCE_MS = 4000; // for what was there to load again
const REST_MS = 300; // a place is reached if it stays for so long
const HANDLED = ["wheel", "touchstart", "pointerdown", "keydown"];

/** The element that scrolls: the content beside a list, in small windows the whole page. */
function scroller() {
  const content = document.querySelector(".content");
  const own = content && getComputedStyle(content).overflowY === "auto";
  return own ? content : document.scrollingElement;
}

function save() {
  const top = Math.round(scroller().scrollTop);
  if (top !== (history.state?.top || 0)) history.replaceState({ ...history.state, top }, "");
}

let aim = 0;

/** Scroll to a place as soon as the page is long enough, unless the analyst does something before. */
function comeBack(top = 0) {
  const mine = ++aim;
  const until = performance.now() + PATIENCE_MS;
  let since = null;
  const step = (now) => {
    const node = scroller();
    if (mine !== aim) return;
    if (Math.abs(node.scrollTop - top) > 1) {
      node.scrollTop = top;
      since = null;
    } else since ??= now;
    if (now < until && (since === null || now - since < REST_MS)) requestAnimationFrame(step);
  };
  if (top) requestAnimationFrame(step);
  else scroller().scrollTop = 0;
}

export function keepScroll() {
  history.scrollRestoration = "manual";
  addEventListener("scrollend", save, { capture: true });
  addEventListener("click", save, { capture: true });
  HANDLED.forEach((name) => addEventListener(name, () => { aim += 1; }, { capture: true, passive: true }));
  addEventListener("popstate", ({ state }) => comeBack(state?.top));
  comeBack(history.state?.top);
}
