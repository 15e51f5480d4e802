/** Capture files as other tools see them: `capinfos` counts what we read, `tshark` what we write. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { CaptureReader } from "../../src/wire/capture-reader.js";
import { PcapWriter } from "../../src/wire/pcap.js";
import { PcapngWriter } from "../../src/wire/pcapng-writer.js";
import { requireTools } from "../support/tools.js";

requireTools("capinfos", "tshark");
const VECTORS = fileURLToPath(new URL("../../../test/vectors/captures", import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), "millrace-capture-"));
after(() => rmSync(scratch, { recursive: true }));

const FILES = readdirSync(VECTORS, { recursive: true })
  .map(String)
  .filter((name) => /\.pcap(ng)?$/.test(name))
  .map((name) => join(VECTORS, name));

/** Runs `visit` for each packet; the number of packets. */
function readAll(file: string, visit: (reader: CaptureReader) => void): number {
  const reader = new CaptureReader();
  reader.push(readFileSync(file));
  reader.end();
  let n = 0;
  while (reader.next()) {
    n++;
    visit(reader);
  }
  return n;
}

test("capinfos finds as many packets and bytes in every file", () => {
  const { stdout } = spawnSync("capinfos", ["-M", "-T", "-r", "-c", "-d", ...FILES]);
  const ours = FILES.map((file) => {
    let bytes = 0;
    const n = readAll(file, (reader) => {
      bytes += reader.packet.lengthBytes;
    });
    return `${file}\t${n}\t${bytes}`;
  });
  assert.deepEqual(ours, stdout.toString().trim().split("\n"));
});

/** Times, lengths and comments as tshark prints them. */
function tshark(file: string): string[] {
  const fields = ["frame.time_epoch", "frame.cap_len", "frame.len", "frame.comment"];
  const args = ["-n", "-r", file, "-T", "fields", ...fields.flatMap((f) => ["-e", f])];
  const { stdout, status, stderr } = spawnSync("tshark", args);
  assert.equal(status, 0, stderr.toString());
  return stdout.toString().trimEnd().split("\n");
}

test("tshark reads the pcapng and pcap files that we write", () => {
  const source = join(VECTORS, "tcpdump/tcp-handshake-nano.pcap");
  const pcapng = new PcapngWriter("millrace");
  pcapng.addInterface({ linkType: 1, name: "tap0" });
  const pcap = new PcapWriter({ linkType: 1 });
  const n = readAll(source, ({ packet }) => {
    pcap.add(packet);
    packet.comment = `at ${packet.nanos}`;
    packet.direction = 1;
    pcapng.add(packet);
  });
  pcapng.addCounts(0, { received: n, dropped: 2, seconds: 1418145370, nanos: 0 });
  writeFileSync(join(scratch, "a.pcapng"), pcapng.take());
  writeFileSync(join(scratch, "a.pcap"), pcap.take());
  const wanted = tshark(source);
  assert.deepEqual(tshark(join(scratch, "a.pcap")), wanted);
  assert.deepEqual(
    tshark(join(scratch, "a.pcapng")).map((line) => line.trimEnd()),
    wanted.map((line) => `${line.trimEnd()}\tat ${Number(/\.(\d+)/.exec(line)![1])}`),
  );
});
