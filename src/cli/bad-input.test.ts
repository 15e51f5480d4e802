/** Files, folders, devices and outputs that cannot be used, over the commands. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const BIN = fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url));

test("what cannot be read or written is named, in a line and with status 1", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-sweep-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const text = join(folder, "text");
  writeFileSync(text, "text");
  const pcap = fileURLToPath(
    new URL("../../../test/vectors/captures/tcpdump/arp-too-long-tha.pcap", import.meta.url),
  );
  const none = join(folder, "none");
  const rows: readonly [string, RegExp][] = [
    [`capture -r ${none}`, /^millrace capture: \S*none: no such file or directory\n$/],
    [`capture -r ${folder}`, /^millrace capture: \S*: is a directory\n$/],
    [`capture -r ${text}`, /^millrace capture: \S*text: at byte 0: expected a pcap or pcapng file/],
    [
      `capture -r ${pcap} -w ${none}/x`,
      /^millrace capture: \S*none\/x: no such file or directory\n$/,
    ],
    [`capture -r ${pcap} -w ${folder}`, /^millrace capture: \S*: is a directory\n$/],
    [
      `capture -r ${pcap} -w /dev/full`,
      /\nmillrace capture: \/dev\/full: no space left on device\n$/,
    ],
    [`capture -r ${pcap} > /dev/full`, /\nmillrace: standard output: no space left on device\n/],
    ["help > /dev/full", /^millrace: standard output: no space left on device\n$/],
    [
      "capture -i packet:nosuch0",
      /^millrace capture: packet:nosuch0: .* no interface nosuch0 .*\n$/,
    ],
    [`xdp check ${none}`, /^millrace xdp check: \S*none: no such file or directory\n$/],
    [`xdp check ${folder}`, /^millrace xdp check: \S*: is a directory\n$/],
    [
      `xdp check ${text}`,
      /^millrace xdp check: \S*text: a file of 4 bytes is shorter than an ELF header\n$/,
    ],
    [
      `perf ping-pong --nic pcap:${folder} --address 10.0.0.2/24 -i 10.0.0.1`,
      /: \S*: is a directory\n$/,
    ],
    [
      `perf ping-pong --nic memif:${none}/x.sock --address 10.0.0.2/24 -i 10.0.0.1`,
      /^millrace perf ping-pong: \S*none: no such file or directory\n$/,
    ],
    [
      `perf ping-pong --nic sim --csv ${none}/x`,
      /^millrace perf ping-pong: \S*none\/x: no such file or directory\n$/,
    ],
    [
      "perf ping-pong --nic sim -t 0.05 --warmup 0 --csv /dev/full",
      /: \/dev\/full: no space left on device\n$/,
    ],
    [
      `engine --socket ${none}/e.sock`,
      /^millrace engine: ENOENT: .*; \S*none, where the engine's socket is to be; make it, or name another path .*\n$/,
    ],
  ];
  for (const [words, expected] of rows) {
    const { status, stderr } = spawnSync("sh", ["-c", `"$0" ${BIN} ${words}`, process.execPath], {
      encoding: "utf8",
      timeout: 60_000,
    });
    assert.equal(status, 1, `${words}: ${stderr}`);
    assert.match(stderr, expected, words);
    assert.doesNotMatch(stderr, /\n +at /, words);
  }
});
