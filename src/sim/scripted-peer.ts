/**
 * Runs a test script (script.ts) as the peer of a tested host: Millrace in virtual time, or Linux
 * over a TAP in real time. A script must pass on Linux before it may judge Millrace.
 */

import { finish, sum } from "../base/checksum.js";
import type { IpAddress } from "../base/ip-address.js";
import { US_PER_S } from "../base/time.js";
import * as arp from "../wire/arp.js";
import * as ethernet from "../wire/ethernet.js";
import * as icmpv4 from "../wire/icmpv4.js";
import * as ipv4 from "../wire/ipv4.js";
import * as tcp from "../wire/tcp.js";
import { parseScript, type ScriptOption, type ScriptSegment, type ScriptStep } from "./script.js";
import {
  buildFrame,
  flagBits,
  formatOption,
  formatSegment,
  patternByte,
  readFrame,
  type ScriptEnd,
  type SeenSegment,
} from "./script-segment.js";

/** The host that a script tests. Times are microseconds of the host's own clock. */
export interface TestedHost {
  readonly mac: Uint8Array;
  readonly address: IpAddress;
  /** Where the program listens. */
  readonly port: number;
  /** How far a time of a script may be missed: 1,000 in virtual time, more where a kernel schedules. */
  readonly toleranceUs: number;
  nowUs(): number;
  /** Lets time pass, until then or until the host has sent a frame. */
  nextFrame(untilUs: number): Promise<{ readonly frame: Uint8Array; readonly atUs: number } | null>;
  /** Puts a frame on the host's link. */
  deliver(frame: Uint8Array): void;
  /** A call of the program on the host; see `docs/scripts.md`. The result is a number or an errno name. */
  call(name: string, args: readonly string[], peer: ScriptEnd): Promise<string>;
  close(): Promise<void>;
}

/** The peer's end: what scripts assume. */
export interface ScriptedPeerOptions {
  readonly mac: Uint8Array;
  readonly address: IpAddress;
  /** The peer's own port; a fresh one keeps a case apart from leftovers of earlier ones. */
  readonly port: number;
}

const PEER_ISS = 1_000_000;

const ICMP_CODES: Readonly<Record<string, number>> = {
  "net-unreachable": 0,
  "host-unreachable": 1,
  "port-unreachable": 3,
  "frag-needed": 4,
};

/** A script that did not go as written; the message holds the line and what was seen. */
export class ScriptFailure extends Error {
  override readonly name = "ScriptFailure";
}

/** Runs the script against the host. Throws {@link ScriptFailure} at the first line that differs. */
export async function runScript(
  text: string,
  host: TestedHost,
  options: ScriptedPeerOptions,
  name = "script",
): Promise<void> {
  const peer = new ScriptedPeer(host, options, name);
  for (const step of parseScript(text, name)) await peer.run(step);
}

class ScriptedPeer {
  private readonly host: TestedHost;
  private readonly name: string;
  private readonly mac: Uint8Array;
  private readonly address: IpAddress;
  private hostIss: number | null = null;
  private hostPort: number;
  private readonly port: number;
  private lastTs = 0;
  private lastSeen: Uint8Array | null = null;
  private atUs: number;
  private readonly log: string[] = [];
  /** A frame that arrived while a send or call was being timed. */
  private readonly waiting: { seen: SeenSegment; frame: Uint8Array; atUs: number }[] = [];

  constructor(host: TestedHost, options: ScriptedPeerOptions, name: string) {
    this.host = host;
    this.name = name;
    this.mac = options.mac;
    this.address = options.address;
    this.port = options.port;
    this.hostPort = host.port;
    this.atUs = host.nowUs();
  }

  async run(step: ScriptStep): Promise<void> {
    const { action } = step;
    const fromUs = this.atUs + step.fromUs;
    const toUs = this.atUs + step.toUs;
    if (action.kind === "expect") {
      await this.expect(step, action.segment, fromUs, toUs);
      return;
    }
    await this.passTime(step, fromUs, action.kind === "nothing");
    this.atUs = Math.max(fromUs, this.host.nowUs());
    if (action.kind === "send") this.send(action.segment);
    else if (action.kind === "icmp") this.sendIcmp(step, action.name, action.value);
    else if (action.kind === "call") await this.call(step, action.name, action.args, action.result);
  }

  /** Lets time pass; frames that come meanwhile wait for their `>` line, or fail a `nothing`. */
  private async passTime(step: ScriptStep, untilUs: number, nothing: boolean): Promise<void> {
    if (nothing && this.waiting.length > 0) {
      this.fail(step, `the host had sent ${formatSegment(this.waiting[0]!.seen)}`);
    }
    while (this.host.nowUs() < untilUs) {
      const got = await this.nextSegment(untilUs);
      if (got === null) break;
      if (nothing) this.fail(step, `the host sent ${formatSegment(got.seen)}`);
      this.waiting.push(got);
    }
  }

  private end(): ScriptEnd {
    return { mac: this.mac, address: this.address, port: this.port, iss: PEER_ISS };
  }

  private hostEnd(): ScriptEnd {
    const { mac, address } = this.host;
    return { mac, address, port: this.hostPort, iss: this.hostIss ?? 0 };
  }

  private send(segment: ScriptSegment): void {
    this.log.push(`< ${formatSegment(segment)}`);
    this.host.deliver(buildFrame(segment, this.end(), this.hostEnd(), this.lastTs));
  }

  /** An ICMP error that quotes the IP header and 64 bytes of the host's last segment. */
  private sendIcmp(step: ScriptStep, name: string, value: number): void {
    const code = ICMP_CODES[name];
    if (code === undefined || this.lastSeen === null) {
      this.fail(step, `expected one of ${Object.keys(ICMP_CODES).join(", ")} after a segment`);
    }
    const quotedBytes = Math.min(this.lastSeen!.length - ethernet.HEADER_BYTES, 84);
    const at = ethernet.HEADER_BYTES + ipv4.HEADER_BYTES;
    const b = new Uint8Array(at + 8 + quotedBytes);
    ethernet.write(b, 0, this.host.mac, this.mac, ethernet.TYPE_IPV4);
    ipv4.write(
      b,
      ethernet.HEADER_BYTES,
      b.length - ethernet.HEADER_BYTES,
      1,
      this.address.w3,
      this.host.address.w3,
    );
    ipv4.fillChecksum(b, ethernet.HEADER_BYTES);
    b[at] = icmpv4.UNREACHABLE;
    b[at + 1] = code!;
    b[at + 6] = value >> 8;
    b[at + 7] = value & 255;
    b.set(
      this.lastSeen!.subarray(ethernet.HEADER_BYTES, ethernet.HEADER_BYTES + quotedBytes),
      at + 8,
    );
    const checksum = finish(sum(b, at, b.length - at, 0));
    b[at + 2] = checksum >> 8;
    b[at + 3] = checksum & 255;
    this.host.deliver(b);
  }

  private async call(
    step: ScriptStep,
    name: string,
    args: readonly string[],
    expected: string | null,
  ): Promise<void> {
    this.log.push(`  ${step.text}`);
    const result = await this.host.call(name, args, this.end());
    const wanted = expected ?? defaultResult(name, args);
    if (wanted !== null && result !== wanted) {
      this.fail(step, `the call returned ${result}, expected ${wanted}`);
    }
  }

  private async expect(
    step: ScriptStep,
    segment: ScriptSegment,
    fromUs: number,
    toUs: number,
  ): Promise<void> {
    const tolerance = this.host.toleranceUs;
    const got = this.waiting.shift() ?? (await this.nextSegment(toUs + tolerance));
    if (got === null) {
      this.fail(step, "the host sent nothing in time");
    }
    const { seen, atUs } = got!;
    const differs = difference(segment, seen);
    if (differs !== null) this.fail(step, `${differs}; the host sent ${formatSegment(seen)}`);
    if (atUs < fromUs - tolerance || atUs > toUs + tolerance) {
      const offset = ((atUs - this.atUs) / US_PER_S).toFixed(4);
      this.fail(step, `the host sent it at +${offset} s`);
    }
    this.atUs = atUs;
  }

  /** The host's next TCP segment; ARP is answered on the way, other traffic ignored. */
  private async nextSegment(
    untilUs: number,
  ): Promise<{ seen: SeenSegment; frame: Uint8Array; atUs: number } | null> {
    for (;;) {
      const got = await this.host.nextFrame(untilUs);
      if (got === null) return null;
      this.answerArp(got.frame);
      const raw = readFrame(got.frame, this.hostIss ?? 0, PEER_ISS);
      if (raw === null || raw.dstPort !== this.port) continue;
      if (this.hostIss === null || raw.flags.includes("S")) {
        this.hostIss = raw.rawSeq;
        this.hostPort = raw.srcPort;
      }
      const seen = readFrame(got.frame, this.hostIss, PEER_ISS)!;
      if (seen.tsVal !== null) this.lastTs = seen.tsVal;
      this.lastSeen = got.frame;
      this.log.push(`> ${formatSegment(seen)}`);
      return { seen, frame: got.frame, atUs: got.atUs };
    }
  }

  private answerArp(frame: Uint8Array): void {
    const at = ethernet.HEADER_BYTES;
    if (ethernet.type(frame, 0) !== ethernet.TYPE_ARP) return;
    if (arp.check(frame, at, frame.length) !== 0) return;
    if (arp.operation(frame, at) !== arp.REQUEST || arp.targetIp(frame, at) !== this.address.w3)
      return;
    const b = new Uint8Array(ethernet.MIN_FRAME_BYTES);
    ethernet.write(b, 0, this.host.mac, this.mac, ethernet.TYPE_ARP);
    arp.writeReply(b, at, this.mac, frame, at);
    this.host.deliver(b);
  }

  private fail(step: ScriptStep, what: string): never {
    const recent = this.log.slice(-12).map((l) => `    ${l}`);
    throw new ScriptFailure(
      [`${this.name}:${step.line}: ${step.text}`, `  ${what}`, "  so far:", ...recent].join("\n"),
    );
  }
}

/** What a call returns when its line does not say: writes and reads their size, others 0. */
function defaultResult(name: string, args: readonly string[]): string | null {
  if (name === "write" || name === "read") return args[0] ?? null;
  return name === "connect" ? "EINPROGRESS" : "0";
}

/** The first thing in which the segment is not as expected, or null. */
export function difference(wanted: ScriptSegment, seen: SeenSegment): string | null {
  if (!seen.checksumIsValid) return "the checksum is wrong";
  if (!sameFlags(wanted.flags, seen.flags)) return `expected flags ${wanted.flags}`;
  if (wanted.seq !== seen.seq) return `expected seq ${wanted.seq}`;
  if (wanted.length !== seen.length) return `expected length ${wanted.length}`;
  if (wanted.ack !== null && wanted.ack !== seen.ack) return `expected ack ${wanted.ack}`;
  if (wanted.window !== null && wanted.window !== seen.window)
    return `expected win ${wanted.window}`;
  if (wanted.urgent !== null && wanted.urgent !== seen.urgent)
    return `expected urg ${wanted.urgent}`;
  for (const [i, byte] of seen.payload.entries()) {
    if (byte !== patternByte(seen.seq - 1 + i)) return `byte ${i} of the payload is wrong`;
  }
  return wanted.options === null ? null : optionDifference(wanted.options, seen.options ?? []);
}

/** A `P` that is not written is not asked for: stacks push inside a burst as they like. */
function sameFlags(wanted: string, seen: string): boolean {
  const bits = flagBits(seen);
  const compared = wanted.includes("P") ? bits : bits & ~tcp.PSH;
  return compared === flagBits(wanted);
}

function optionDifference(
  wanted: readonly ScriptOption[],
  seen: readonly ScriptOption[],
): string | null {
  const meaningful = wanted.filter((o) => o.kind !== "nop" && o.kind !== "eol");
  for (const w of meaningful) {
    const s = seen.find((o) => o.kind === w.kind);
    if (s === undefined) return `expected option ${formatOption(w)}`;
    if (w.kind === "TS" && s.kind === "TS") {
      if (w.val !== null && w.val !== s.val) return `expected ${formatOption(w)}`;
      if (w.ecr !== null && w.ecr !== s.ecr) return `expected ${formatOption(w)}`;
    } else if (formatOption(w) !== formatOption(s)) return `expected option ${formatOption(w)}`;
  }
  const extra = seen.find((s) => !meaningful.some((w) => w.kind === s.kind));
  return extra === undefined ? null : `expected no option ${extra.kind}`;
}
