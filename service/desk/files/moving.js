// Laying one hull over the other by hand: metres to the right and down, and degrees of turn.
import { html, useEffect, useRef, useState } from "./lib.js";
import { stepOf } from "./measuring.js";
import { T } from "./texts.js";

const NOWHERE = { right: 0, down: 0, turn: 0 };
const TURNS = { PageUp: -1, PageDown: 1 };
const FAR_TURN = 10;

const tenth = (value) => Math.round(value * 10) / 10 || 0;
const within = (degrees) => ((degrees + 540) % 360) - 180;

/** Where the upper picture of an overlay lies; `inputs` that change put it back. */
export function useMoving(scale, inputs) {
  const [place, setPlace] = useState(NOWHERE);
  const held = useRef(null);
  const reset = () => setPlace(NOWHERE);
  useEffect(reset, inputs);
  const move = (changes) => setPlace((old) => {
    const next = { ...old, ...changes(old) };
    return { right: tenth(next.right), down: tenth(next.down), turn: tenth(within(next.turn)) };
  });
  return {
    place, move, reset, moved: Object.values(place).some(Boolean),
    style: `transform:translate(${place.right * scale}px,${place.down * scale}px) rotate(${place.turn}deg)`,
    hold(event) {
      const frame = event.target.closest(".overlay").querySelector(".moved").getBoundingClientRect();
      const centre = [frame.left + frame.width / 2, frame.top + frame.height / 2];
      const turning = Boolean(event.target.closest(".turner"));
      held.current = { x: event.clientX, y: event.clientY, centre, turning, place };
    },
    drag(event) {
      const one = held.current;
      if (!one) return;
      const angle = (x, y) => (Math.atan2(y - one.centre[1], x - one.centre[0]) * 180) / Math.PI;
      move(() => (one.turning
        ? { turn: one.place.turn + angle(event.clientX, event.clientY) - angle(one.x, one.y) }
        : {
          right: one.place.right + (event.clientX - one.x) / scale,
          down: one.place.down + (event.clientY - one.y) / scale,
        }));
    },
    release() { held.current = null; },
    onKey(event) {
      const step = stepOf(event);
      const turn = TURNS[event.key];
      if (step) move((old) => ({ right: old.right + step[0], down: old.down + step[1] }));
      else if (turn) move((old) => ({ turn: old.turn + turn * (event.shiftKey ? FAR_TURN : 1) }));
      else if (event.key === "Home") reset();
      else return;
      event.preventDefault();
    },
  };
}

/** Fields that say and set where the upper picture lies. */
export function Moved({ moving }) {
  const set = (name, text) => moving.move(() => ({ [name]: Number(text) || 0 }));
  return html`<div class="moving">
    ${Object.keys(NOWHERE).map((name) => html`<label key=${name}>${T.moving[name]}
      <input type="number" step=${name === "turn" ? 1 : 0.5} value=${moving.place[name]}
        onChange=${(event) => set(name, event.target.value)} /></label>`)}
    <button type="button" disabled=${!moving.moved} onClick=${moving.reset}>${T.moving.reset}</button>
  </div>`;
}
