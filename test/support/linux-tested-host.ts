/**
 * Linux as the tested host of a script (src/sim/scripted-peer.ts), in real time: the peer's frames
 * go through a TAP device, the program is linux-program.py. Must run inside a network namespace of
 * its own, as root of it; see namespace.ts.
 */
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setImmediate as nextTurn } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { IpAddress } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/base/time.js";
import type { ScriptEnd } from "../../src/sim/script-segment.js";
import type { TestedHost } from "../../src/sim/scripted-peer.js";
import { closeFd } from "../../src/sys/fd.js";
import { interfaceMac, openTapFd, TapOffload, VIRTIO_HEADER_BYTES } from "../../src/sys/tap.js";
import { TapQueue } from "../../src/sys/tap-queue.js";

const ADDRESS = "10.9.0.1";
const FRAME_BYTES = 2048;
const RX_AT = 64;
const TX_AT = FRAME_BYTES + 64;
/** Where the addon would put a frame that is longer; with offloads off there is none. */
const BIG_AT = 2 * FRAME_BYTES;
const BIG_BYTES = 70_000;
const PROGRAM = fileURLToPath(new URL("../../../test/support/linux-program.py", import.meta.url));

/** Sysctls that make Linux as comparable and as quiet as scripts assume. */
const SYSCTLS: Readonly<Record<string, string>> = {
  "net/ipv4/tcp_congestion_control": "reno",
  "net/ipv4/tcp_no_metrics_save": "1",
  "net/ipv6/conf/all/disable_ipv6": "1",
};

export class LinuxTestedHost implements TestedHost {
  readonly mac: Uint8Array;
  readonly address = IpAddress.parse(ADDRESS);
  readonly port: number;
  readonly toleranceUs = 30_000;
  private readonly fd: number;
  private readonly program: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;
  private readonly memory = new Uint8Array(BIG_AT + BIG_BYTES);
  private readonly queue: TapQueue;

  constructor(port: number, peerAddress: IpAddress, peerMac: string) {
    this.port = port;
    for (const [name, value] of Object.entries(SYSCTLS)) writeSysctl(name, value);
    const tap = openTapFd({ name: "scripted", isMultiQueue: false, offload: TapOffload.NONE });
    this.fd = tap.fd;
    this.queue = new TapQueue(tap.fd, this.memory, {
      frames: 1,
      bigFrames: 1,
      smallRoomBytes: FRAME_BYTES - RX_AT,
      bigRoomBytes: BIG_BYTES,
    });
    this.queue.smallAts[0] = RX_AT;
    this.queue.bigAts[0] = BIG_AT;
    this.queue.txAts[0] = TX_AT;
    const ip = (...args: string[]): void => void execFileSync("ip", args, { stdio: "pipe" });
    ip("address", "add", `${ADDRESS}/24`, "dev", tap.name);
    ip("link", "set", tap.name, "up");
    ip("neighbour", "replace", peerAddress.toString(), "lladdr", peerMac, "dev", tap.name);
    this.mac = interfaceMac(tap.name);
    this.program = spawn("python3", [PROGRAM, ADDRESS, String(port)]);
    this.program.stderr.pipe(process.stderr);
    this.answers = createInterface({ input: this.program.stdout })[Symbol.asyncIterator]();
  }

  /** Resolves when the program can take calls; its start must not count as the host's slowness. */
  async start(): Promise<this> {
    await this.answers.next();
    return this;
  }

  nowUs(): number {
    return monotonicUs();
  }

  async nextFrame(
    untilUs: number,
  ): Promise<{ readonly frame: Uint8Array; readonly atUs: number } | null> {
    for (;;) {
      if (this.queue.receive(1, 1) > 0) {
        const end = RX_AT + this.queue.rxLengths[0]!;
        return { frame: this.memory.slice(RX_AT, end), atUs: monotonicUs() };
      }
      if (monotonicUs() >= untilUs) return null;
      await nextTurn();
    }
  }

  deliver(frame: Uint8Array): void {
    this.memory.fill(0, TX_AT - VIRTIO_HEADER_BYTES, TX_AT);
    this.memory.set(frame, TX_AT);
    this.queue.txLengths[0] = frame.length;
    const n = this.queue.transmit(1);
    if (n !== 1) throw new Error(`the TAP device took no frame: ${n}`);
  }

  async call(name: string, args: readonly string[], peer: ScriptEnd): Promise<string> {
    const full = name === "connect" ? [peer.address.toString(), String(peer.port)] : args;
    this.program.stdin.write(`${[name, ...full].join(" ")}\n`);
    const { value, done } = await this.answers.next();
    if (done === true) throw new Error("the program on the Linux side ended");
    return value;
  }

  async close(): Promise<void> {
    this.program.kill();
    this.queue.close();
    closeFd(this.fd);
  }
}

function writeSysctl(name: string, value: string): void {
  const path = `/proc/sys/${name}`;
  if (readFileSync(path, "utf8").trim() !== value) writeFileSync(path, value);
}
