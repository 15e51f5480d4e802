/** The page of `millrace xdp serve` in Chromium, as somebody uses it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Chromium } from "../support/chromium.js";

const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));
const CAPTURE = root("test/vectors/captures/zeek/tcp.pcap");
const object = (name: string): string => root(`fuzz/corpus/elf/${name}.o`);

let folder: string;
let server: ChildProcess;
let browser: Chromium;
let url: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), "millrace-page-"));
  const tunnels = join(folder, "tunnels.json");
  const value = { local: "192.0.2.1", remote: "192.0.2.2" };
  writeFileSync(tunnels, JSON.stringify([{ key: "66.35.250.204", value }]));
  const files = [object("tunnel"), "--in", CAPTURE, "--map", `tunnels=${tunnels}`];
  const args = [root("bin/millrace.js"), "xdp", "serve", ...files, "--json"];
  server = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(server.stdout!, "data");
  ({ url } = JSON.parse(String(line)) as { url: string });
  browser = await Chromium.open(1280, 900);
});

after(async () => {
  await browser?.close();
  server?.kill("SIGKILL");
  rmSync(folder, { recursive: true });
});

const LOADED = "document.querySelector('.timeline') && document.querySelectorAll('.row').length";
const text = (selector: string): Promise<string> =>
  browser.value(`document.querySelector(${JSON.stringify(selector)}).innerText`);

test("paths, a packet's condition, effect and bytes, by mouse", async () => {
  await browser.goTo(url);
  await browser.until(LOADED);
  assert.match(await text("#status"), /^tunnel: 12 packets took 2 paths\.$/);
  const tree = await text("#tree");
  assert.match(tree, /tunnels has packet\[30:34\]/);
  assert.match(tree, /tunnel\.c:\d+/);
  await browser.value(
    "[...document.querySelectorAll('.leaf')].find((leaf) => leaf.innerText.includes('XDP_TX')).click()",
  );
  await browser.until(
    "document.querySelector('#packets-shown').innerText.includes('of path') && document.querySelector('.row[aria-current=true]') && document.querySelector('#detail .outcome').innerText.startsWith('XDP_TX')",
  );
  assert.match(await text("#packets-shown"), /^1 to 6 of 6 of path \d+$/);
  const detail = await text("#detail");
  assert.match(detail, /^XDP_TX by path \d+$/m);
  assert.match(detail, /before: 74 bytes[\s\S]*after: 94 bytes/);
  const marked = "document.querySelectorAll('.dump mark.added').length";
  assert.equal(await browser.value(marked), 20);
});

test("the cache is simulated again with the size and policy that are chosen", async () => {
  const figure = (name: string): Promise<string> =>
    browser.value(
      `[...document.querySelectorAll('.figures div')].find((one) => one.innerText.startsWith(${JSON.stringify(name)})).querySelector('dd').innerText`,
    );
  assert.equal(await figure("misses"), "2");
  await browser.value(
    "document.querySelector('#entries').value = 1; document.querySelector('#entries').dispatchEvent(new Event('change'))",
  );
  await browser.until("document.querySelector('#story h3').innerText.includes('with 1 ent')");
  assert.ok(Number(await figure("evictions")) > 0);
  assert.equal(await browser.value("document.querySelectorAll('.slot').length"), 1);
  await browser.click(".player button");
  await browser.until(
    "document.querySelector('.player .tag').innerText.startsWith('after 12 of 12') && document.querySelector('.player button').innerText === 'Play'",
  );
});

test("everything is reached by keyboard", async () => {
  await browser.value("document.querySelector('#all').focus()");
  await browser.press("Enter", "\r");
  await browser.until("document.querySelectorAll('.row').length === 12");
  await browser.value("document.querySelector('.row').focus()");
  await browser.press("ArrowDown");
  await browser.press("ArrowDown");
  await browser.press("Enter", "\r");
  await browser.until("document.querySelector('#packet-title').innerText === 'Packet 3'");
  const unreachable = await browser.value<string[]>(
    "[...document.querySelectorAll('button, input, select, summary')].filter((one) => one.tabIndex < 0).map((one) => one.outerHTML)",
  );
  assert.deepEqual(unreachable, []);
});

test("other files come by the file pickers, and faults are said on the page", async () => {
  await browser.choose("#object", CAPTURE);
  await browser.until("!document.querySelector('#problem').hidden");
  assert.match(await text("#problem"), /no ELF file[\s\S]*clang -O2 -g -target bpf/);
  await browser.choose("#object", object("vlan_gate"));
  await browser.until(
    `document.querySelector('#problem').hidden && !document.body.hasAttribute('aria-busy') && ${LOADED}`,
  );
  assert.match(await text("#status"), /^vlan_gate: 12 packets/);
  await browser.value(
    "document.querySelector('#program').value = 'strip'; document.querySelector('#program').dispatchEvent(new Event('change'))",
  );
  await browser.until("document.querySelector('#status').innerText.startsWith('strip: ')");
});

test("nothing is wider than a phone", async () => {
  await browser.resize(390, 844);
  await browser.goTo(url);
  await browser.until(LOADED);
  await browser.click(".row");
  await browser.until("document.querySelector('#detail .outcome')");
  assert.equal(await browser.value("document.documentElement.scrollWidth"), 390);
});

test("the browser has nothing to complain of, and Ctrl-C ends the server", async () => {
  assert.deepEqual(browser.complaints, []);
  server.kill("SIGINT");
  const [status] = await once(server, "exit");
  assert.equal(status, 0);
});
