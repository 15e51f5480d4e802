/**
 * Captures as evidence: recording what passes an interface, and asking tshark, with every checksum
 * validated, whether each packet is well formed.
 *
 * On a TAP or veth, frames whose checksum was left to the device show up unfinished. Record with
 * offloads off at both ends (`openTap({ offload: false })`, `ethtool -K tap0 tx off`), or with the
 * capture middleware, which finishes them.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import { type Background, background } from "./namespace.js";
import { processState } from "./process-state.js";
import { requireTools } from "./tools.js";

/** Checksums that tshark leaves alone unless told; those of ICMP, ICMPv6 and IGMP it always checks. */
const VALIDATED = ["ip", "tcp", "udp"].flatMap((name) => ["-o", `${name}.check_checksum:TRUE`]);
/** Payloads are opaque: a test's random bytes on a known port are no malformed packet. */
const OPAQUE = ["tcp", "udp"].flatMap((name) => ["-d", `${name}.port==1-65535,data`]);

/**
 * ICMP errors. What they quote is what their sender was given: on a link that leaves checksums to the
 * device, TCP's and UDP's are unfinished there, in the kernel's errors as in ours.
 */
const QUOTES = "icmp.type in {3, 4, 5, 11, 12} || icmpv6.type in {1, 2, 3, 4}";

/**
 * A TCP checksum of 0xffff where 0 was meant: the same number in ones' complement (RFC 1624 §3). Linux
 * writes it so (`CSUM_MANGLED_0`), one segment in 65,536, when it makes a checksum in software.
 */
const OTHER_ZERO = "tcp.checksum.ffff";

/** What tshark marks: dissectors that failed, and checksums that are bad (status 0). */
const BAD = [
  "_ws.malformed",
  "ip.checksum.status == 0",
  `((tcp.checksum.status == 0 || udp.checksum.status == 0) && !(${QUOTES}) && !(${OTHER_ZERO}))`,
  "icmp.checksum.status == 0",
  "icmpv6.checksum.status == 0",
  "igmp.checksum.status == 0",
];

/** Packets of the capture that match a display filter, one summary line each. */
export function packets(file: string, filter = ""): string[] {
  return tshark(file, filter === "" ? [] : ["-Y", filter]);
}

/** The values of one field in the packets that match, as tshark prints them. */
export function fieldOf(file: string, field: string, filter: string): string[] {
  return tshark(file, ["-Y", filter, "-T", "fields", "-e", field]);
}

function tshark(file: string, args: readonly string[]): string[] {
  requireTools("tshark");
  const all = ["-n", "-r", file, ...VALIDATED, ...OPAQUE, ...args];
  const options = { encoding: "utf8", maxBuffer: 1 << 30 } as const;
  const { status, stdout, stderr } = spawnSync("tshark", all, options);
  assert.equal(status, 0, `tshark cannot read ${file}: ${stderr}`);
  return stdout.split("\n").filter((line) => line.trim() !== "");
}

/** Fails, printing the packets, when one is malformed or has a bad checksum, or there is none. */
export function assertCleanCapture(file: string): void {
  assert.notEqual(tshark(file, ["-c", "1"]).length, 0, `${file} holds no packet`);
  const bad = packets(file, BAD.join(" || "));
  assert.equal(
    bad.length,
    0,
    `${file}: malformed or bad checksum:\n${bad.slice(0, 50).join("\n")}`,
  );
}

/** How long the file must not grow, and the recorder sleep, before everything that passed counts as written. */
const QUIET_MS = 60;

/** A recording of one interface of this namespace. */
export class Capture {
  readonly file: string;
  private readonly recorder: Background;

  private constructor(file: string, recorder: Background) {
    this.file = file;
    this.recorder = recorder;
  }

  /** Records from when the promise resolves. */
  static async start(interfaceName: string, file: string): Promise<Capture> {
    requireTools("tcpdump");
    // Packets are handed over one by one, not when a buffer of the kernel is full; -B is in KiB.
    const options = ["--immediate-mode", "-U", "-B", "16384", "-Z", "root"];
    const recorder = background("tcpdump", "-i", interfaceName, ...options, "-w", file);
    await recorder.waitFor(/listening on/);
    return new Capture(file, recorder);
  }

  /** Ends the recording when what has passed is in the file. Fails when packets were lost. */
  async stop(): Promise<void> {
    const isBusy = (): boolean => processState(this.recorder.pid)?.state !== "S";
    for (let size = -1; size !== statSync(this.file).size || isBusy(); ) {
      size = isBusy() ? -1 : statSync(this.file).size;
      await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    }
    await this.recorder.stop("SIGINT");
    assert.match(this.recorder.output, /^0 packets dropped by kernel/m, this.recorder.output);
  }
}
