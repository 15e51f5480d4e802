/** One packet: path, condition, effect, bytes and maps. */
import { byId, count, el, verdict } from "./dom.js";

/** @param {Map<number, object>} paths */
export function showPacket(packet, paths) {
  const { n, text, lengthBytes, effect } = packet;
  byId("packet-title").textContent = `Packet ${count(n + 1)}`;
  const head = el(
    "p",
    { class: "mono" },
    text,
    el("span", { class: "tag" }, ` · ${lengthBytes} bytes`),
  );
  if (effect === null) {
    const why = "No program sees it: it is not a whole Ethernet frame.";
    byId("detail").replaceChildren(head, el("p", {}, why));
    return;
  }
  const path = packet.path === null ? null : paths.get(packet.path);
  byId("detail").replaceChildren(
    head,
    outcome(effect, packet.path, path),
    ...(path === null ? [] : [...conditions(path), ...effects(path)]),
    ...bytes(effect),
    ...maps(effect),
    ...prints(effect),
  );
}

function outcome(effect, number, path) {
  const host = path?.hostOnly;
  return el(
    "p",
    { class: "outcome" },
    verdict(effect.verdict),
    effect.target === "" ? null : ` to ${effect.target}`,
    number === null ? null : ` by path ${number}`,
    host ? el("span", { class: "tag" }, ` · only the host can run it: ${host.text}`) : null,
  );
}

function list(title, entries, none) {
  const items = entries.map(({ text, short, source }) =>
    el(
      "li",
      {},
      short === undefined ? el("code", {}, text) : outlined(text, short),
      source === null ? null : el("span", { class: "source" }, source),
    ),
  );
  return [
    el("h3", {}, title),
    items.length === 0 ? el("p", { class: "hint" }, none) : el("ol", {}, ...items),
  ];
}

/** A long one: its outline, the whole on demand. */
const outlined = (text, short) =>
  el(
    "details",
    { class: "outlined" },
    el("summary", {}, el("code", {}, short)),
    el("code", {}, text),
  );

function conditions(path) {
  const none =
    path.hostOnly === null
      ? "Nothing: every packet goes this way."
      : "Nothing is known beforehand: the host runs the program on each of these packets.";
  const all = list("When all of this holds", path.condition, none);
  const verdicts = Object.entries(path.verdicts).sort(([, a], [, b]) => b - a);
  if (verdicts.length <= 1) return all;
  const counted = verdicts.map(([name, n]) => `${name} ${count(n)}`).join(", ");
  const varies = `The rest is the host's, and what becomes of these packets varies: ${counted}.`;
  return [...all, el("p", { class: "hint" }, varies)];
}
const effects = (path) =>
  path.hostOnly === null ? list("It does this", path.effects, "Nothing but the verdict.") : [];

const bytesOf = (hex) => hex.match(/../g) ?? [];

/** Both dumps, what changed marked; `shift` is where the new packet begins in the old one. */
function bytes({ before, after, shift }) {
  const [old, now] = [bytesOf(before), bytesOf(after)];
  const isSame = before === after && shift === 0;
  const removed = old.map((byte, n) => kind(byte, now[n - shift], "removed"));
  const title = el("h3", {}, isSame ? "Bytes, unchanged" : "Bytes");
  if (isSame)
    return [
      title,
      dump(
        old,
        old.map(() => ""),
        "The packet's bytes",
      ),
    ];
  const added = now.map((byte, n) => kind(byte, old[n + shift], "added"));
  const name = (what) => el("span", {}, el("span", { class: `key-${what}` }, what), "");
  return [
    title,
    el("p", { class: "keys" }, name("changed"), name("added"), name("removed")),
    el(
      "div",
      { class: "dumps" },
      el("div", { class: "tag" }, `before: ${old.length} bytes`),
      dump(old, removed, "Bytes before"),
      el("div", { class: "tag" }, `after: ${now.length} bytes`),
      dump(now, added, "Bytes after"),
    ),
  ];
}

const kind = (byte, other, without) =>
  other === undefined ? without : other === byte ? "" : "changed";

const PER_LINE = 16;
const MAX_LINES = 128;

function dump(all, kinds, name) {
  const box = el("pre", { class: "dump", tabindex: 0, role: "group", "aria-label": name });
  for (let at = 0; at < all.length && at < PER_LINE * MAX_LINES; at += PER_LINE) {
    box.append(el("span", { class: "at" }, at.toString(16).padStart(4, "0"), "  "));
    for (let n = at; n < Math.min(at + PER_LINE, all.length); n++) {
      const gap = n === at + PER_LINE - 1 || n === all.length - 1 ? "" : n % 8 === 7 ? "  " : " ";
      const mark = kinds[n];
      box.append(mark === "" ? all[n] : el("mark", { class: mark }, all[n]), gap);
    }
    box.append("\n");
  }
  if (all.length > PER_LINE * MAX_LINES) box.append(`… ${all.length} bytes in all\n`);
  return box;
}

const show = (value) =>
  value === null ? "–" : typeof value === "object" ? JSON.stringify(value) : String(value);

function maps({ maps: changes, areMapsCut }) {
  if (changes.length === 0) return [el("h3", {}, "Maps, unchanged")];
  const rows = changes.map(({ map, type, key, before, after }) => {
    const what = before === null ? "added" : after === null ? "removed" : "changed";
    return el(
      "tr",
      {},
      el("td", { title: type }, map),
      el("td", { class: "mono" }, show(key)),
      el("td", { class: "mono" }, show(before)),
      el("td", { class: "mono" }, el("span", { class: `key-${what}` }, show(after))),
    );
  });
  const head = ["map", "key", "before", "after"].map((name) => el("th", { scope: "col" }, name));
  return [
    el("h3", {}, "Maps"),
    el(
      "div",
      { class: "scroll" },
      el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)),
    ),
    areMapsCut ? el("p", { class: "hint" }, "and more") : null,
  ].filter((one) => one !== null);
}

function prints({ prints: lines }) {
  if (lines.length === 0) return [];
  return [el("h3", {}, "bpf_trace_printk"), el("pre", { class: "dump" }, lines.join("\n"))];
}
