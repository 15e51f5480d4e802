/** The trace cache: figures, timeline, who was in when, and the cache at any packet. */
import { ask } from "./api.js";
import { byId, count, el, percent, svg, verdict } from "./dom.js";

const POLICIES = [
  ["lru", "LRU: least recently used leaves"],
  ["fifo", "FIFO: oldest leaves"],
  ["clock", "CLOCK: LRU, approximated"],
  ["lfu", "LFU: least often used leaves"],
  ["second-miss", "second miss: in when missed twice"],
  ["tinylfu", "TinyLFU: in when used more often"],
  ["belady", "Belady: knows the future, the bound"],
];
const LANES = 12;
/** Parts of a lane that can be told apart. */
const RESOLUTION = 600;
const PLAY_MS = 40;
const PLAY_STEPS = 200;

export class CacheView {
  constructor(fail) {
    this.fail = fail;
    this.revision = 0;
    this.timer = 0;
    byId("policy").append(...POLICIES.map(([name, text]) => el("option", { value: name }, text)));
    byId("entries").addEventListener("change", () => this.load());
    byId("policy").addEventListener("change", () => this.load());
    byId("cache-form").addEventListener("submit", (event) => event.preventDefault());
  }

  /** @param {Map<number, object>} paths */
  show(revision, paths) {
    this.revision = revision;
    this.paths = paths;
    return this.load();
  }

  async load() {
    clearInterval(this.timer);
    const entries = Math.min(4096, Math.max(1, Math.floor(Number(byId("entries").value) || 1)));
    byId("entries").value = entries;
    try {
      const query = { revision: this.revision, policy: byId("policy").value, entries };
      this.render(await ask("cache", query));
    } catch (error) {
      this.fail(error);
    }
  }

  render(story) {
    const { hits, misses, evictions, refused, hostOnly, usedBits } = story;
    this.story = story;
    const figure = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));
    const figures = el(
      "dl",
      { class: "figures" },
      figure("hit rate", percent(hits, hits + misses)),
      figure("hits", count(hits)),
      figure("misses", count(misses)),
      figure("evictions", count(evictions)),
      figure("not taken in", count(refused)),
      figure("not for the NIC", count(hostOnly)),
      figure("bits of TCAM", count(usedBits)),
    );
    byId("story").replaceChildren(
      figures,
      el("div", {}, timeline(story), legend(), cutNote(story), this.lanes(), this.player()),
      this.others(),
    );
    this.moveTo(story.packets);
  }

  others() {
    const { others, hits, misses, policy } = this.story;
    const rows = [...others]
      .sort((a, b) => b.hits - a.hits)
      .map((one) =>
        el(
          "tr",
          {},
          el("td", {}, one.policy === policy ? el("strong", {}, one.policy) : one.policy),
          el("td", { class: "right" }, percent(one.hits, hits + misses)),
        ),
      );
    return el(
      "div",
      {},
      el(
        "h3",
        {},
        `Every policy with ${this.story.entries === 1 ? "1 entry" : `${count(this.story.entries)} entries`}`,
      ),
      el("table", {}, el("tbody", {}, ...rows)),
    );
  }

  /** When each of the most used paths was in. */
  lanes() {
    const { packets } = this.story;
    const spans = spansOf(this.story);
    const used = [...this.paths.values()].filter((path) => path.hostOnly === null).slice(0, LANES);
    const parts = used.flatMap((path) => {
      const inside = (spans.get(path.id) ?? []).map(([from, to]) =>
        svg("rect", {
          class: "f-hit",
          x: from,
          width: Math.max(to - from, packets / RESOLUTION),
          height: 1,
        }),
      );
      const about = {
        viewBox: `0 0 ${packets} 1`,
        preserveAspectRatio: "none",
        role: "img",
        "aria-label": `path ${path.id} was in the cache ${inside.length} times`,
      };
      return [
        el("span", { title: path.verdict }, verdictOf(path), ` ${path.id}`),
        svg("svg", about, ...inside),
      ];
    });
    return el("div", { class: "lanes" }, ...parts);
  }

  player() {
    const { packets } = this.story;
    this.slider = el("input", {
      type: "range",
      min: 0,
      max: packets,
      value: packets,
      "aria-label": "Cache after so many packets",
      input: () => this.moveTo(Number(this.slider.value)),
    });
    this.button = el("button", { type: "button", click: () => this.play() }, "Play");
    this.at = el("span", { class: "tag" });
    this.slots = el("div", { class: "slots", "aria-label": "In the cache" });
    return el(
      "div",
      {},
      el("div", { class: "player" }, this.button, this.slider, this.at),
      this.slots,
    );
  }

  play() {
    clearInterval(this.timer);
    if (this.button.textContent === "Stop") {
      this.button.textContent = "Play";
      return;
    }
    const { packets } = this.story;
    const step = Math.max(1, Math.ceil(packets / PLAY_STEPS));
    let at = Number(this.slider.value) >= packets ? 0 : Number(this.slider.value);
    this.button.textContent = "Stop";
    this.timer = setInterval(() => {
      at = Math.min(packets, at + step);
      this.moveTo(at);
      if (at < packets) return;
      clearInterval(this.timer);
      this.button.textContent = "Play";
    }, PLAY_MS);
  }

  /** Shows the cache after so many packets. */
  moveTo(n) {
    const { entries, events, packets, timeline: parts, isCut } = this.story;
    this.slider.value = n;
    const inside = [];
    let newest = -1;
    for (const [at, path, isIn, ...left] of events) {
      if (at >= n) break;
      for (const gone of left) inside.splice(inside.indexOf(gone), 1);
      if (isIn === 1) inside.push(path);
      newest = at === n - 1 && isIn === 1 ? path : -1;
    }
    const cut = isCut && n > (events.at(-1)?.[0] ?? 0) ? ", too many misses to follow" : "";
    this.at.textContent = `after ${count(n)} of ${count(packets)} packets${cut}`;
    const free = Math.max(0, Math.min(entries, 16) - inside.length);
    this.slots.replaceChildren(
      ...inside.map((path) =>
        el(
          "span",
          { class: path === newest ? "slot new" : "slot" },
          verdictOf(this.paths.get(path)),
          ` ${path}`,
        ),
      ),
      ...Array.from({ length: free }, () => el("span", { class: "slot empty" }, "empty")),
    );
    const x = parts.length * (n / Math.max(1, packets));
    for (const line of document.querySelectorAll(".cursor")) {
      line.setAttribute("x1", x);
      line.setAttribute("x2", x);
    }
  }
}

function verdictOf(path) {
  const short = verdict(path?.verdict ?? "");
  short.textContent = short.textContent.replace("XDP_", "");
  return short;
}

function legend() {
  const entry = (kind, text) =>
    el("span", {}, svg("svg", {}, svg("rect", { class: kind, width: 11, height: 11 })), text);
  return el(
    "div",
    { class: "legend" },
    entry("f-hit", "hits; below: in the cache"),
    entry("f-miss", "misses"),
    entry("f-evict", "evictions"),
    entry("f-host", "not for the NIC"),
  );
}

function cutNote({ isCut, events }) {
  if (!isCut) return "";
  return el(
    "p",
    { class: "hint" },
    `Below, only the first ${count(events.length)} misses are followed.`,
  );
}

/** Stacked bars, a part of the capture each. */
function timeline({ timeline: parts, hits, misses, evictions }) {
  const most = Math.max(1, ...parts.map(([h, m, , o]) => h + m + o));
  const bars = parts.flatMap(([hit, miss, evicted, host], x) => {
    const bar = (kind, y, height, width = 0.9) =>
      height === 0 ? null : svg("rect", { class: kind, x, y: 100 - y - height, width, height });
    const scale = 96 / most;
    return [
      bar("f-hit", 0, hit * scale),
      bar("f-miss", hit * scale, miss * scale),
      bar("f-host", (hit + miss) * scale, host * scale),
      bar("f-evict", 0, Math.min(evicted * scale, 96), 0.25),
    ].filter((one) => one !== null);
  });
  return svg(
    "svg",
    {
      class: "timeline",
      viewBox: `0 0 ${parts.length} 100`,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `Over the capture: ${hits} hits, ${misses} misses, ${evictions} evictions`,
    },
    ...bars,
    svg("line", { class: "cursor", y1: 0, y2: 100 }),
  );
}

/** By path: from which packet to which it was in; gaps that nobody could see are closed. */
function spansOf({ events, packets, isCut }) {
  const spans = new Map();
  const end = isCut ? (events.at(-1)?.[0] ?? 0) : packets;
  const least = packets / RESOLUTION;
  for (const [at, path, isIn, ...left] of events) {
    for (const gone of left) spans.get(gone).at(-1)[1] = at;
    if (isIn === 0) continue;
    if (!spans.has(path)) spans.set(path, []);
    const own = spans.get(path);
    if (own.length > 0 && at - own.at(-1)[1] < least) own.at(-1)[1] = end;
    else own.push([at, end]);
  }
  return spans;
}
