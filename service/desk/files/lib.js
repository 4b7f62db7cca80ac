// What every part of the page uses: templates, hooks, stores, and the address after the #.
import { h, render, createContext } from "./vendor/preact.js";
import {
  useState, useEffect, useRef, useMemo, useCallback, useLayoutEffect, useContext,
} from "./vendor/hooks.js";
import htm from "./vendor/htm.js";

export const html = htm.bind(h);
export {
  h, render, createContext, useState, useEffect, useRef, useMemo, useCallback, useLayoutEffect,
  useContext,
};

/** Make a value that components follow with `useStore`. */
export function createStore(value) {
  const listeners = new Set();
  return {
    get: () => value,
    set(next) {
      value = typeof next === "function" ? next(value) : next;
      listeners.forEach((listener) => listener(value));
    },
    follow(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Return the value of a store, and draw the component again when it changes. */
export function useStore(store) {
  const [value, setValue] = useState(store.get());
  useEffect(() => {
    setValue(() => store.get());
    return store.follow((next) => setValue(() => next));
  }, [store]);
  return value;
}

/**
 * Load something when `inputs` change. Returns `{value, error, loading, reload}`; the value of
 * former inputs is kept while the next one loads.
 */
export function useLoaded(load, inputs) {
  const [state, setState] = useState({ value: null, error: null, loading: true });
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const controller = new AbortController();
    setState((old) => ({ ...old, loading: true }));
    load(controller.signal).then(
      (value) => !controller.signal.aborted && setState({ value, error: null, loading: false }),
      (error) => !controller.signal.aborted
        && setState((old) => ({ value: old.value, error, loading: false })),
    );
    return () => controller.abort();
  }, [...inputs, turn]);
  return { ...state, reload: useCallback(() => setTurn((one) => one + 1), []) };
}

/** The part of the address after `#`: `{page, id, query}`. */
function readPlace() {
  const [path, search] = location.hash.replace(/^#\/?/, "").split("?");
  const [page, id] = path.split("/").map((part) => {
    try { return decodeURIComponent(part); } catch { return part; } // an address that was cut off
  });
  return { page: page || "match", id: id || null, query: new URLSearchParams(search || "") };
}

export const place = createStore(readPlace());
addEventListener("hashchange", () => place.set(readPlace()));

/** Return the address of a page of the desk. */
export function addressOf(page, id, query) {
  const search = new URLSearchParams(
    Object.entries(query || {}).filter(([, value]) => value !== null && value !== ""),
  ).toString();
  return `#/${page}${id ? `/${encodeURIComponent(id)}` : ""}${search ? `?${search}` : ""}`;
}

export function go(page, id, query, { replace = false } = {}) {
  const address = addressOf(page, id, query);
  if (!replace) {
    location.hash = address;
  } else if (address !== location.hash) {
    history.replaceState(null, "", address);
    place.set(readPlace());
  }
}

/** Call `handle(key, event)` for keys that are not typed into a field; true means it was used. */
export function useKeys(handle) {
  const current = useRef(handle);
  current.current = handle;
  useEffect(() => {
    const listen = (event) => {
      const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
      if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
      if (document.querySelector("dialog[open]")) return;
      if (typing && typing.type !== "range" && typing.type !== "checkbox") return;
      if (current.current(event.key, event)) event.preventDefault();
    };
    addEventListener("keydown", listen);
    return () => removeEventListener("keydown", listen);
  }, []);
}

/** Call `handle(event)` for drags and drops of files that no zone has taken, unless a dialog is open. */
export function useFileDrags(handle) {
  useEffect(() => {
    const listen = (event) => {
      if (event.defaultPrevented || !event.dataTransfer?.types.includes("Files")) return;
      if (!document.querySelector("dialog[open]")) handle(event);
    };
    document.addEventListener("dragover", listen);
    document.addEventListener("drop", listen);
    return () => {
      document.removeEventListener("dragover", listen);
      document.removeEventListener("drop", listen);
    };
  }, []);
}

let unfinished = 0;

/** Let the browser ask before the page is left, until a promise is settled; return what it brings. */
export async function untilDone(work) {
  unfinished += 1;
  try { return await work; } finally { unfinished -= 1; }
}
addEventListener("beforeunload", (event) => { if (unfinished) event.preventDefault(); });

/** Return a value only once it has not changed for some milliseconds. */
export function useSettled(value, delay) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), delay);
    return () => clearTimeout(timer);
  }, [value, delay]);
  return settled;
}
