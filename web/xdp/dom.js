/** Elements, made by calls. Text is only ever text: nothing of a file becomes markup. */

const SVG = "http://www.w3.org/2000/svg";

/** @param {string} tag @param {Record<string, unknown>} about @param {...(Node | string | null)} children */
export function el(tag, about = {}, ...children) {
  return fill(document.createElement(tag), about, children);
}

/** @param {string} tag @param {Record<string, unknown>} about @param {...(Node | string | null)} children */
export function svg(tag, about = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), about, children);
}

function fill(element, about, children) {
  for (const [name, value] of Object.entries(about)) {
    if (value === null || value === false) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children) if (child !== null) element.append(child);
  return element;
}

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

const VERDICTS = new Set(["pass", "drop", "tx", "redirect", "aborted"]);

/** A verdict in its colour; XDP_ABORTED's for numbers that mean nothing. */
export function verdict(name) {
  const short = name.replace("XDP_", "").toLowerCase();
  const kind = VERDICTS.has(short) ? short : "aborted";
  return el("span", { class: `verdict v-${kind}` }, name);
}

export const count = (n) => n.toLocaleString("en");
export const percent = (part, whole) =>
  whole === 0 ? "–" : `${((100 * part) / whole).toFixed(1)} %`;
