/** The list of packets, page by page. */
import { ask } from "./api.js";
import { byId, count, el, verdict } from "./dom.js";

const ROWS = 200;

export class PacketList {
  /** @param {(n: number) => void} choose @param {(error: Error) => void} fail */
  constructor(choose, fail) {
    this.choose = choose;
    this.fail = fail;
    this.revision = 0;
    this.path = null;
    this.from = 0;
    this.total = 0;
    byId("earlier").addEventListener("click", () => this.move(-ROWS));
    byId("later").addEventListener("click", () => this.move(ROWS));
    byId("rows").addEventListener("keydown", (event) => this.walk(event));
  }

  show(revision, path) {
    this.revision = revision;
    this.path = path;
    this.from = 0;
    return this.load();
  }

  move(by) {
    this.from = Math.max(0, this.from + by);
    void this.load();
  }

  async load() {
    const query = { revision: this.revision, from: this.from, count: ROWS };
    if (this.path !== null) query.path = this.path;
    try {
      const { rows, total } = await ask("packets", query);
      this.total = total;
      this.render(rows);
    } catch (error) {
      this.fail(error);
    }
  }

  render(rows) {
    const last = this.from + rows.length;
    const what = this.path === null ? "" : ` of path ${this.path}`;
    const range = rows.length === 0 ? "none" : `${count(this.from + 1)} to ${count(last)}`;
    byId("packets-shown").textContent = `${range} of ${count(this.total)}${what}`;
    byId("earlier").disabled = this.from === 0;
    byId("later").disabled = last >= this.total;
    byId("rows").replaceChildren(...rows.map((row) => this.row(row)));
    byId("rows").scrollTop = 0;
  }

  row({ n, seconds, text, verdict: name, path }) {
    return el(
      "button",
      { type: "button", class: "row", "data-n": n, title: text, click: () => this.choose(n) },
      el("span", { class: "num" }, count(n + 1)),
      el("span", { class: "num time" }, seconds.toFixed(4)),
      el("span", {}, text),
      name === "" ? el("span", { class: "tag" }, "not Ethernet") : verdict(name),
      el("span", { class: "tag route" }, path === null ? "" : `path ${path}`),
    );
  }

  mark(n) {
    for (const row of document.querySelectorAll(".row")) {
      row.setAttribute("aria-current", String(row.dataset.n === String(n)));
    }
  }

  walk(event) {
    const step = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    if (step === undefined || !event.target.classList.contains("row")) return;
    event.preventDefault();
    event.target[step]?.focus();
  }
}
