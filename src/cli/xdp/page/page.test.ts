import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { fakeWorld } from "../../fake-world.js";
import { run } from "../../main.js";
import { refusal } from "./allowed.js";
import { Analyst } from "./analyst.js";
import { NOT_CACHEABLE, tellCache } from "./cache-story.js";
import { Desk, type Overview } from "./desk.js";
import { runningLimit } from "./running-limit.js";
import { pageServer } from "./server.js";

const root = (path: string): string =>
  fileURLToPath(new URL(`../../../../../${path}`, import.meta.url));
const file = (path: string): Uint8Array => new Uint8Array(readFileSync(root(path)));
const OBJECT = file("fuzz/corpus/elf/ddos_guard.o");
const TUNNEL = file("fuzz/corpus/elf/tunnel.o");
const CAPTURE = file("test/vectors/captures/zeek/tcp.pcap");

const nothing = { program: null, btf: null, maps: [], maxEntries: {} };
const desk = new Desk({ ...nothing, object: null, capture: null });
const server = pageServer(desk, "127.0.0.1");
let port = 0;

before(async () => {
  // Or it ends an idle connection in the very moment in which a busy machine's client uses it again.
  server.keepAliveTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as AddressInfo).port;
});
after(() => {
  server.close();
  server.closeAllConnections();
  desk.close();
});

interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: JSON of whatever was asked for.
  readonly json: any;
}

function call(
  path: string,
  body?: Uint8Array,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const method = body === undefined ? "GET" : "POST";
  const type = body === undefined ? {} : { "content-type": "application/octet-stream" };
  return new Promise((resolve, reject) => {
    const asking = request({ port, path, method, headers: { ...type, ...headers } }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (part: string) => {
        text += part;
      });
      response.on("end", () => {
        const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
        const json = isJson ? JSON.parse(text) : null;
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json });
      });
    });
    asking.on("error", reject);
    asking.end(body);
  });
}

async function load(object: Uint8Array, capture: Uint8Array): Promise<Overview> {
  await call("/api/object?name=a.o", object);
  return (await call("/api/capture?name=a.pcap", capture)).json as Overview;
}

test("the page and its files are there, with headers that allow nothing from elsewhere", async () => {
  const page = await call("/");
  assert.equal(page.status, 200);
  assert.match(String(page.headers["content-security-policy"]), /default-src 'none'/);
  assert.equal(page.headers["access-control-allow-origin"], undefined);
  for (const [, name] of page.text.matchAll(/(?:src|href)="([^"]+)"/g)) {
    assert.equal((await call(`/${name}`)).status, 200, name);
  }
  for (const path of ["/../package.json", "/%2e%2e/package.json", "/web/xdp/main.js", "//x"]) {
    assert.equal((await call(path)).status, 404, path);
  }
});

test("a report has paths with conditions, a tree of them, and packets", async () => {
  const { report, revision, problem } = await load(OBJECT, CAPTURE);
  assert.ok(report !== null, JSON.stringify(problem));
  assert.deepEqual(report.verdicts, { XDP_PASS: 12 });
  assert.equal(
    report.paths.reduce((sum, { packets }) => sum + packets, 0),
    12,
  );
  assert.equal(report.tree.packets, 12);
  assert.ok(report.paths[0]!.condition.some(({ text }) => text === "packet[12:14] == 0x0800"));
  assert.match(report.paths[0]!.condition[0]!.source!, /\.[ch]:\d+/);
  const { path } = { path: report.paths[0]!.id };
  const some = await call(`/api/packets?revision=${revision}&from=1&count=2&path=${path}`);
  assert.equal(some.json.rows.length, 2);
  assert.equal(some.json.total, report.paths[0]!.packets);
});

test("a packet in detail shows maps before and after, whatever was looked at before", async () => {
  const { revision } = await load(OBJECT, CAPTURE);
  const packet = async (n: number): Promise<Reply> =>
    call(`/api/packet?revision=${revision}&n=${n}`);
  const seen = async (n: number): Promise<unknown> => {
    const { effect } = (await packet(n)).json;
    return effect.maps.find(({ map }: { map: string }) => map === ".bss")?.after;
  };
  assert.deepEqual(await seen(11), { seen: 12 });
  assert.deepEqual(await seen(0), { seen: 1 });
  assert.deepEqual(await seen(5), { seen: 6 });
  assert.equal((await packet(12)).status, 400);
});

test("bytes that a program puts in front have their place", async () => {
  const text = JSON.stringify([
    { key: "66.35.250.204", value: { local: "192.0.2.1", remote: "192.0.2.2" } },
  ]);
  const maps = [{ map: "tunnels", text, source: "tunnels.json" }];
  const own = new Desk({
    ...nothing,
    maps,
    object: { name: "", bytes: TUNNEL },
    capture: { name: "", bytes: CAPTURE },
  });
  try {
    const { report, revision } = await own.overview();
    assert.deepEqual(report?.verdicts, { XDP_TX: 6, XDP_PASS: 6 });
    const { rows } = await own.rows(revision, 0, 12, null);
    const sent = rows.find(({ verdict }) => verdict === "XDP_TX")!;
    const { effect } = await own.packet(revision, sent.n);
    assert.equal(effect!.shift, -20);
    assert.equal(effect!.after.length, effect!.before.length + 40);
  } finally {
    own.close();
  }
});

test("bad files are said in words with what to do, and the server goes on", async () => {
  const noObject = await load(CAPTURE, CAPTURE);
  assert.match(noObject.problem!.message, /no ELF file/);
  assert.match(noObject.problem!.advice, /clang -O2 -g -target bpf/);
  const noCapture = await load(OBJECT, OBJECT);
  assert.equal(noCapture.problem!.about, "capture");
  assert.match(noCapture.problem!.message, /expected a pcap or pcapng file/);
  for (let cut = 1; cut < OBJECT.length; cut += 1999) {
    const { report, problem } = await load(OBJECT.subarray(0, cut), CAPTURE);
    assert.ok(report !== null || problem!.message !== "");
  }
  assert.ok((await load(OBJECT, CAPTURE)).report !== null);
});

test("a capture that breaks off is shown up to there", async () => {
  const { report } = await load(OBJECT, CAPTURE.subarray(0, CAPTURE.length - 10));
  assert.equal(report?.packets, 11);
  assert.match(report.complaint, /up to a fault at byte/);
});

test("requests that another site could cause are refused", async () => {
  assert.equal((await call("/", undefined, { host: "rebound.example" })).status, 403);
  const allowed = (method: string, headers: Record<string, string>): boolean =>
    refusal(method, headers, "box.lan") === null;
  assert.ok(allowed("GET", { host: "localhost:1" }));
  assert.ok(allowed("GET", { host: "[::1]:1" }));
  assert.ok(allowed("GET", { host: "box.lan:1" }));
  assert.ok(!allowed("GET", { host: "localhost.evil.example:1" }));
  assert.ok(!allowed("GET", {}));
  const type = { "content-type": "application/octet-stream" };
  assert.ok(allowed("POST", { host: "localhost:1", origin: "http://localhost:1", ...type }));
  assert.ok(!allowed("POST", { host: "localhost:1", origin: "http://evil.example", ...type }));
  assert.ok(!allowed("POST", { host: "localhost:1", "content-type": "text/plain" }));
  assert.ok(!allowed("OPTIONS", { host: "localhost:1", ...type }));
  assert.ok(!allowed("GET", { host: "localhost:1", "sec-fetch-site": "cross-site" }));
});

test("what is too large, wrong or no HTTP at all is refused", async () => {
  const large = await call("/api/object", new Uint8Array(), { "content-length": "99999999" });
  assert.match(large.json.problem.message, /larger than 16 MiB/);
  for (const query of ["", "?revision=1&n=-1", "?revision=1&n=1e3", "?revision=x&n=1"]) {
    const { status, json } = await call(`/api/packet${query}`);
    assert.equal(status, 400, query);
    assert.notEqual(json.problem.message, "");
  }
  assert.match((await call("/api/packet?revision=0&n=0")).json.problem.message, /other files/);
  await new Promise<void>((resolve) => {
    const socket = connect(port, "127.0.0.1", () => socket.end("GARBAGE\r\n\r\n"));
    socket.on("error", () => {});
    socket.on("close", () => resolve());
  });
  assert.equal((await call("/")).status, 200);
});

test("a program as text is taken, and its faults have line and column", async () => {
  const loadText = async (text: string): Promise<Overview> => {
    await call("/api/capture?name=a.pcap", CAPTURE);
    return (await call("/api/object?name=a.s", Buffer.from(text))).json as Overview;
  };
  assert.deepEqual((await loadText("r0 = 1\nexit\n")).report?.verdicts, { XDP_DROP: 12 });
  assert.match((await loadText("r0 = 1\nr0 ++ 2\nexit\n")).problem!.message, /a\.s:2:/);
});

test("a worker that takes too long is ended, and the next file gets another one", async () => {
  const impatient = new Analyst(0);
  const input = { ...nothing, name: "a.o", object: OBJECT, capture: CAPTURE };
  await assert.rejects(impatient.ask({ kind: "open", input }), /took more than 0 s/);
  assert.equal(impatient.isAlive, false);
});

test("time in which the process is suspended does not count as a limit's", async () => {
  let passed = 0;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = runningLimit(100, () => {
      passed++;
      resolve();
    });
  });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.equal(passed, 0);
  await over;
  clearInterval(timer);
});

test("the story of a cache: every miss is told, with who left", () => {
  const paths = Int32Array.from([0, 1, 0, NOT_CACHEABLE, 2, 0, 1]);
  const story = tellCache(
    paths,
    new Map([
      [0, 8],
      [1, 8],
      [2, 8],
    ]),
    "lru",
    2,
  );
  assert.deepEqual(story.events, [
    [0, 0, 1],
    [1, 1, 1],
    [4, 2, 1, 1],
    [6, 1, 1, 2],
  ]);
  assert.equal(story.hits, 2);
  assert.equal(story.misses, 4);
  assert.equal(story.evictions, 2);
  assert.equal(story.hostOnly, 1);
  assert.equal(story.usedBits, 16);
  const belady = story.others.find(({ policy }) => policy === "belady")!;
  assert.ok(story.others.every(({ hits }) => hits <= belady.hits));
  const inTimeline = story.timeline.reduce((sum, [hits, misses]) => sum + hits + misses, 0);
  assert.equal(inTimeline, 6);
});

test("the command prints where the page is, ends with Ctrl-C, and says when it cannot listen", async () => {
  const args = ["xdp", "serve", root("fuzz/corpus/elf/ddos_guard.o"), "--json"];
  const world = fakeWorld();
  const ended = run(args, world);
  while (world.outText() === "") await new Promise((resolve) => setTimeout(resolve, 5));
  const { url } = JSON.parse(world.outText()) as { url: string };
  const overview = (await (await fetch(`${url}api/overview`)).json()) as Overview;
  assert.equal(overview.object, "ddos_guard.o");
  assert.equal(overview.report, null);
  world.press();
  assert.equal(await ended, 0);
  const taken = fakeWorld();
  assert.equal(await run(["xdp", "serve", "--listen", String(port)], taken), 1);
  assert.match(taken.errText(), /cannot listen on 127\.0\.0\.1:\d+: it is taken; choose another/);
  const wrong = fakeWorld();
  assert.equal(await run(["xdp", "serve", "--listen", "here"], wrong), 2);
  assert.match(wrong.errText(), /Expected PORT or HOST:PORT/);
  const noCapture = ["xdp", "serve", "--in", root("fuzz/corpus/elf/ddos_guard.o")];
  for (const [more, expected] of [
    [[], /ddos_guard\.o: at byte 0: expected a pcap or pcapng file/],
    [[root("package.json")], /package\.json: this is no ELF file/],
  ] as const) {
    const bad = fakeWorld();
    assert.equal(await run([...noCapture, ...more], bad), 1);
    assert.match(bad.errText(), expected);
    assert.equal(bad.outText(), "");
  }
});

test("a program that the verifier refuses ends the command, also without a capture", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-page-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const source = join(folder, "wrong.s");
  writeFileSync(source, "r0 = *(u32 *)(r1 + 24)\nexit\n");
  const world = fakeWorld();
  assert.equal(await run(["xdp", "serve", source], world), 1);
  assert.match(world.errText(), /wrong\.s: .*struct xdp_md/);
  assert.equal(world.outText(), "");
});
