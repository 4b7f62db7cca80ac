// Measuring on the pictures: a line from one end to another, and its length in metres.
import { html, useEffect, useRef, useState } from "./lib.js";
import { T } from "./texts.js";

const CLICK_PX = 4; // a pointer that moved less was clicked, not dragged
const FAR = 10;
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/** The metres by which an arrow key moves something to the right and down; null for other keys. */
export function stepOf(event) {
  const step = STEPS[event.key];
  return step ? step.map((one) => one * (event.shiftKey ? FAR : 1)) : null;
}

const distance = ([ax, ay], [bx, by]) => Math.hypot(bx - ax, by - ay);

/**
 * The line that is measured on a stage, two points in CSS pixels from its corner; `inputs` that
 * change take it away. It is dragged, or its two ends are clicked one after the other.
 */
export function useMeasuring(stage, inputs) {
  const [line, setLine] = useState(null);
  const [first, setFirst] = useState(null); // the end that was clicked, until the other one is
  const held = useRef(null);
  const clear = () => { setLine(null); setFirst(null); held.current = null; };
  useEffect(clear, inputs);
  const pointOf = (event) => {
    const { left, top } = stage.current.getBoundingClientRect();
    return [event.clientX - left, event.clientY - top];
  };
  return {
    line, setLine, first, clear,
    /** Lay the line over the first picture, from its left to its right side. */
    start() {
      const [outer, inner] = [stage.current, stage.current.querySelector("canvas")].map((one) => one.getBoundingClientRect());
      const [x, y] = [inner.left - outer.left, inner.top - outer.top + inner.height / 2];
      setLine([[x, y], [x + inner.width, y]]);
    },
    hold(event) {
      const end = event.target.closest(".end");
      const at = pointOf(event);
      const which = end ? Number(end.dataset.end) : 1;
      held.current = { at, which, end, fixed: end ? line[1 - which] : at, dragged: false };
    },
    drag(event) {
      const one = held.current;
      if (!one) return;
      const at = pointOf(event);
      one.dragged ||= distance(at, one.at) >= CLICK_PX;
      if (!one.dragged) return;
      setFirst(null);
      setLine(one.which ? [one.fixed, at] : [at, one.fixed]);
    },
    release() {
      const one = held.current;
      held.current = null;
      if (!one || one.dragged || one.end) return;
      setLine(first ? [first, one.at] : null);
      setFirst(first ? null : one.at);
    },
  };
}

/** The line over a stage; arrow keys move the end that has the focus, Delete takes the line away. */
export function MeasuredLine({ measuring, scale }) {
  const { line, first, setLine, clear } = measuring;
  if (first) return html`<span class="end pending" aria-hidden="true" style=${`left:${first[0]}px;top:${first[1]}px`}></span>`;
  if (!line) return null;
  const [[ax, ay], [bx, by]] = line;
  const onKey = (event, which) => {
    const step = stepOf(event);
    if (step) setLine(line.map((end, at) => (at === which ? end.map((one, axis) => one + step[axis] * scale) : end)));
    else if (event.key === "Delete" || event.key === "Escape") clear();
    else return;
    event.preventDefault();
  };
  return html`
    <svg class="measured" aria-hidden="true"><line class="under" x1=${ax} y1=${ay} x2=${bx} y2=${by} />
      <line x1=${ax} y1=${ay} x2=${bx} y2=${by} /></svg>
    ${line.map(([x, y], which) => html`<button type="button" class="end" key=${which} data-end=${which}
      aria-label=${T.measure.ends[which]} style=${`left:${x}px;top:${y}px`}
      onKeyDown=${(event) => onKey(event, which)}></button>`)}
    <span class="length" aria-hidden="true" style=${`left:${(ax + bx) / 2}px;top:${(ay + by) / 2}px`}>
      ${T.measure.length(lengthOf(line, scale))}</span>`;
}

export const lengthOf = (line, scale) => distance(...line) / scale;
