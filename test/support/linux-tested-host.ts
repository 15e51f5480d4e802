/**
 * Linux as the tested host of a script (src/sim/scripted-peer.ts), in real time: the peer's frames
 * go through a TAP device, the program is linux-program.py. Must run inside a network namespace of
 * its own, as root of it; see namespace.ts.
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { IpAddress } from "../../src/base/ip-address.js";
import { monotonicUs } from "../../src/nic/clock.js";
import type { ScriptEnd } from "../../src/sim/script-segment.js";
import type { ScriptedPeerOptions, TestedHost } from "../../src/sim/scripted-peer.js";
import { closeFd } from "../../src/sys/fd.js";
import { interfaceMac, openTapFd, TapOffload, VIRTIO_HEADER_BYTES } from "../../src/sys/tap.js";
import { TapQueue } from "../../src/sys/tap-queue.js";
import { formatAddress } from "../../src/wire/ethernet.js";

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
  "net/ipv4/icmp_ratelimit": "0",
  "net/ipv4/icmp_msgs_per_sec": "100000",
  "net/ipv6/icmp/ratelimit": "0",
  "net/ipv6/conf/default/disable_ipv6": "1",
  "net/ipv4/ipfrag_time": "2",
  "net/ipv6/ip6frag_time": "2",
};

/** The peer's end of the TAP of case `n`: a network of its own, so that cases run side by side. */
export function linuxPeer(n: number, family: 4 | 6): ScriptedPeerOptions {
  const address =
    family === 4 ? `10.${9 + (n >> 8)}.${n & 255}.2` : `fd09:0:0:${n.toString(16)}::2`;
  const mac = Uint8Array.of(2, 0, 0, n >> 8, n & 255, 2);
  return { mac, address: IpAddress.parse(address), port: 28_000 + 16 * n };
}

/** The host's address beside the peer's, which ends in 2. */
const hostAddress = (peer: IpAddress): string => peer.toString().replace(/2$/, "1");

export class LinuxTestedHost implements TestedHost {
  readonly mac: Uint8Array;
  readonly address: IpAddress;
  readonly port = 8000;
  /** After SYN cookies and a simultaneous open it offers less than it had. */
  readonly keepsWindow = false;
  /** Microseconds; to be raised where a case fails only because the machine is busy. */
  toleranceUs = 30_000;
  private readonly fd: number;
  private readonly program: ChildProcessWithoutNullStreams;
  private readonly answers: AsyncIterator<string>;
  private readonly memory = new Uint8Array(BIG_AT + BIG_BYTES);
  private readonly queue: TapQueue;

  private constructor(address: IpAddress, tap: { name: string; fd: number }) {
    this.address = address;
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
    this.mac = interfaceMac(tap.name);
    const args = ["-S", "-E", PROGRAM, address.toString(), String(this.port), tap.name];
    this.program = spawn("python3", args);
    this.program.stderr.pipe(process.stderr);
    this.answers = createInterface({ input: this.program.stdout })[Symbol.asyncIterator]();
  }

  /**
   * `n` names the TAP and its networks; see {@link linuxPeer}. A second peer is the same one under
   * an address of the other family. Resolves when the program can take
   * calls: its start must not count as the host's slowness.
   */
  static async start(
    n: number,
    peer: ScriptedPeerOptions,
    second: ScriptedPeerOptions | null = null,
  ): Promise<LinuxTestedHost> {
    for (const [name, value] of Object.entries(SYSCTLS)) writeSysctl(name, value);
    const tap = openTapFd({ name: `case${n}`, isMultiQueue: false, offload: TapOffload.NONE });
    const peers = second === null ? [peer] : [peer, second];
    if (peers.some((one) => !one.address.isV4)) {
      writeSysctl(`net/ipv6/conf/${tap.name}/accept_dad`, "0");
      writeSysctl(`net/ipv6/conf/${tap.name}/disable_ipv6`, "0");
    }
    const onDevice = peers.flatMap(({ address, mac }) => [
      `address add ${hostAddress(address)}/${address.isV4 ? 24 : "64 nodad"}`,
      `neighbour replace ${address} lladdr ${formatAddress(mac, 0)}`,
    ]);
    const commands = onDevice.map((command) => `${command} dev ${tap.name}`).sort();
    commands.splice(peers.length, 0, `link set ${tap.name} up`);
    await ipBatch(...commands);
    const host = new LinuxTestedHost(IpAddress.parse(hostAddress(peer.address)), tap);
    await host.answers.next();
    return host;
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
      await delay(1);
    }
  }

  deliver(frame: Uint8Array): void {
    this.memory.fill(0, TX_AT - VIRTIO_HEADER_BYTES, TX_AT);
    this.memory.set(frame, TX_AT);
    this.queue.txLengths[0] = frame.length;
    const n = this.queue.transmit(1);
    if (n !== 1) throw new Error(`the TAP device took no frame: ${n}`);
  }

  async call(
    name: string,
    args: readonly string[],
    peer: ScriptEnd,
    connection: number,
  ): Promise<string> {
    const full = name === "connect" ? [peer.address.toString(), String(peer.port)] : args;
    this.program.stdin.write(`${[connection, name, ...full].join(" ")}\n`);
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

/** Commands of `ip`, in one process, without keeping other cases waiting. */
async function ipBatch(...commands: string[]): Promise<void> {
  const child = spawn("ip", ["-batch", "-"], { stdio: ["pipe", "ignore", "inherit"] });
  child.stdin.end(`${commands.join("\n")}\n`);
  const [status] = await once(child, "exit");
  if (status !== 0) throw new Error(`ip -batch: status ${status}: ${commands.join("; ")}`);
}

function writeSysctl(name: string, value: string): void {
  const path = `/proc/sys/${name}`;
  if (readFileSync(path, "utf8").trim() !== value) writeFileSync(path, value);
}
