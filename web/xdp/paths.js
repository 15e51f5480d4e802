/** The tree of paths. */
import { byId, count, el, percent, svg, verdict } from "./dom.js";

/** @param {(path: number) => void} choose */
export function showPaths(report, choose) {
  const byNumber = new Map(report.paths.map((path) => [path.id, path]));
  const whole = report.packets;
  byId("tree").replaceChildren(el("ul", {}, item(report.tree, byNumber, whole, choose, true)));
}

export function markPath(path) {
  for (const leaf of document.querySelectorAll(".leaf")) {
    leaf.setAttribute("aria-pressed", String(leaf.dataset.path === String(path)));
  }
}

function item(node, paths, whole, choose, isRoot = false) {
  if (node.path !== null) {
    const leaf = el(
      "button",
      {
        type: "button",
        class: "node leaf",
        "data-path": node.path,
        "aria-pressed": "false",
        click: () => choose(node.path),
      },
      ...label(node, whole, isRoot),
      ends(paths.get(node.path)),
    );
    return el("li", {}, leaf);
  }
  const children = node.children.map((child) => item(child, paths, whole, choose));
  return el(
    "li",
    {},
    el(
      "details",
      { open: true },
      el("summary", { class: "node" }, ...label(node, whole, isRoot)),
      el("ul", {}, ...children),
    ),
  );
}

function label(node, whole, isRoot) {
  const when = node.when.map(({ text, short, source }) =>
    el(
      "span",
      { class: "and" },
      short === undefined ? el("code", {}, text) : el("code", { title: text }, short),
      source === null ? null : el("span", { class: "source" }, source),
    ),
  );
  if (when.length === 0) when.push(el("span", { class: "tag" }, isRoot ? "every packet" : "else"));
  const share = whole === 0 ? 0 : (100 * node.packets) / whole;
  return [
    ...when,
    el("span", { class: "count", title: percent(node.packets, whole) }, count(node.packets)),
    svg(
      "svg",
      { class: "share", viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" },
      svg("rect", { width: share, height: 1 }),
    ),
  ];
}

/** Of one that varies, each with its packets, the most frequent first. */
function verdicts(path) {
  const all = Object.entries(path.verdicts).sort(([, a], [, b]) => b - a);
  if (all.length <= 1) return [verdict(path.verdict)];
  return all.flatMap(([name, n]) => [verdict(name), el("span", { class: "tag" }, count(n))]);
}

function ends(path) {
  const about = [`path ${path.id}`, `${count(path.instructions)} instructions`];
  const host = path.hostOnly;
  if (host !== null) about.push("host only");
  return el(
    "span",
    {
      class: "ends",
      ...(host === null ? {} : { title: `only the host can run it: ${host.text}` }),
    },
    ...verdicts(path),
    el("span", { class: "tag" }, about.join(" · ")),
  );
}
