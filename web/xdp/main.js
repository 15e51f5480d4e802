/** The page: files in, and the views of what the server says about them. */
import { ask, put } from "./api.js";
import { CacheView } from "./cache.js";
import { byId, count, el, percent, verdict } from "./dom.js";
import { showPacket } from "./packet.js";
import { PacketList } from "./packets.js";
import { markPath, showPaths } from "./paths.js";

let revision = 0;
let paths = new Map();
/** Of the packet asked for last: an answer about another one comes too late. */
let asked = -1;

const packets = new PacketList(choosePacket, fail);
const cache = new CacheView(fail);

function fail(error) {
  const box = byId("problem");
  box.hidden = false;
  byId("status").textContent = "";
  box.replaceChildren(
    el("p", {}, el("strong", {}, error.message)),
    error.advice ? el("p", {}, error.advice) : "",
  );
}

async function choosePacket(n) {
  asked = n;
  try {
    const packet = await ask("packet", { revision, n });
    if (asked !== n) return;
    showPacket(packet, paths);
    packets.mark(n);
    markPath(packet.path);
  } catch (error) {
    fail(error);
  }
}

async function choosePath(path) {
  markPath(path);
  byId("all").hidden = false;
  await packets.show(revision, path);
  const first = document.querySelector(".row");
  if (first !== null) await choosePacket(Number(first.dataset.n));
}

async function show(overview) {
  revision = overview.revision;
  byId("object-name").textContent = overview.object ?? "choose a .o file";
  byId("capture-name").textContent = overview.capture ?? "choose a .pcap file";
  byId("problem").hidden = true;
  const { report, problem } = overview;
  byId("main").hidden = report === null;
  byId("verdicts").replaceChildren();
  byId("status").textContent = statusOf(overview);
  if (problem !== null) fail(problem);
  if (report === null) return;
  paths = new Map(report.paths.map((path) => [path.id, path]));
  byId("verdicts").append(
    ...Object.entries(report.verdicts)
      .sort(([, a], [, b]) => b - a)
      .map(([name, n]) =>
        el(
          "li",
          {},
          verdict(name),
          ` ${count(n)} `,
          el("span", { class: "tag" }, percent(n, report.packets)),
        ),
      ),
  );
  showPrograms(report);
  showPaths(report, choosePath);
  byId("all").hidden = true;
  byId("packet-title").textContent = "Packet";
  const hint = "Choose a packet to see its path, condition and effect.";
  byId("detail").replaceChildren(el("p", { class: "hint" }, hint));
  await Promise.all([packets.show(revision, null), cache.show(revision, paths), choosePacket(0)]);
  packets.mark(asked);
}

function statusOf({ object, capture, report }) {
  if (object === null && capture === null)
    return "Choose an object (clang -O2 -g -target bpf -c prog.c) and a capture (tcpdump -w) to begin.";
  if (object === null) return "Choose an object: clang -O2 -g -target bpf -c prog.c -o prog.o";
  if (capture === null) return "Choose a capture: tcpdump -w a.pcap writes one.";
  if (report === null) return "";
  const skipped = report.skipped === 0 ? "" : `, ${count(report.skipped)} not Ethernet`;
  const note = report.complaint === "" ? "" : `; ${report.complaint}`;
  const some = (n, what) => `${count(n)} ${what}${n === 1 ? "" : "s"}`;
  const took = `${some(report.packets, "packet")} took ${some(report.paths.length, "path")}`;
  return `${report.program}: ${took}${skipped}${note}.`;
}

function showPrograms({ program, programs }) {
  byId("program-label").hidden = programs.length < 2;
  byId("program").replaceChildren(
    ...programs.map((name) => el("option", { value: name, selected: name === program }, name)),
  );
}

async function during(work) {
  byId("status").textContent = "Working…";
  document.body.setAttribute("aria-busy", "true");
  try {
    await show(await work());
  } catch (error) {
    fail(error);
  } finally {
    document.body.removeAttribute("aria-busy");
  }
}

for (const kind of ["object", "capture"]) {
  byId(kind).addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file === undefined) return;
    void during(() => put(kind, { name: file.name }, file));
    event.target.value = "";
  });
}
byId("files").addEventListener("submit", (event) => event.preventDefault());
byId("program").addEventListener("change", (event) => {
  void during(() => put("program", { name: event.target.value }, null));
});
byId("all").addEventListener("click", () => {
  byId("all").hidden = true;
  markPath(null);
  void packets.show(revision, null);
});
void during(() => ask("overview"));
