/**
 * Runs a test script (script.ts) as the peer of a tested host: Millrace in virtual time, or Linux
 * over a TAP in real time. A script must pass on Linux before it may judge Millrace.
 */

import { put16, put32 } from "../base/bytes.js";
import { finish, sum } from "../base/checksum.js";
import type { IpAddress } from "../base/ip-address.js";
import { US_PER_S } from "../base/time.js";
import * as arp from "../wire/arp.js";
import * as ethernet from "../wire/ethernet.js";
import * as pseudoHeader from "../wire/pseudo-header.js";
import * as tcp from "../wire/tcp.js";
import { parseScript, type ScriptOption, type ScriptSegment, type ScriptStep } from "./script.js";
import {
  buildFrame,
  flagBits,
  formatOption,
  formatSegment,
  ipFrame,
  patternByte,
  readFrame,
  type ScriptEnd,
  type SeenSegment,
  wordValue,
} from "./script-segment.js";

/** The host that a script tests. Times are microseconds of the host's own clock. */
export interface TestedHost {
  readonly mac: Uint8Array;
  readonly address: IpAddress;
  /** Where the program listens. */
  readonly port: number;
  /** How far a time of a script may be missed: 1,000 in virtual time, more where a kernel schedules. */
  readonly toleranceUs: number;
  /** Whether a script fails when the host takes back window that it has offered. */
  readonly keepsWindow: boolean;
  nowUs(): number;
  /** Lets time pass, until then or until the host has sent a frame. */
  nextFrame(untilUs: number): Promise<{ readonly frame: Uint8Array; readonly atUs: number } | null>;
  /** Puts a frame on the host's link. */
  deliver(frame: Uint8Array): void;
  /**
   * A call of the program on the host, on its socket of the connection; see `docs/scripts.md`. The
   * result is a number or an errno name.
   */
  call(name: string, args: readonly string[], peer: ScriptEnd, connection: number): Promise<string>;
  close(): Promise<void>;
}

/** The peer's end: what scripts assume. */
export interface ScriptedPeerOptions {
  readonly mac: Uint8Array;
  readonly address: IpAddress;
  /** The peer's own port; a fresh one keeps a case apart from leftovers of earlier ones. */
  readonly port: number;
}

/** Near the end of the number space: most scripts wrap around it. */
const PEER_ISS = 0xffff_fe00;

/** Type and code of ICMP errors, by their script names. */
const ICMP4: Readonly<Record<string, readonly [type: number, code: number]>> = {
  "net-unreachable": [3, 0],
  "host-unreachable": [3, 1],
  "protocol-unreachable": [3, 2],
  "port-unreachable": [3, 3],
  "frag-needed": [3, 4],
  "admin-prohibited": [3, 13],
  "source-quench": [4, 0],
  "time-exceeded": [11, 0],
  "parameter-problem": [12, 0],
};
const ICMP6: Readonly<Record<string, readonly [type: number, code: number]>> = {
  "net-unreachable": [1, 0],
  "admin-prohibited": [1, 1],
  "host-unreachable": [1, 3],
  "port-unreachable": [1, 4],
  "frag-needed": [2, 0],
  "time-exceeded": [3, 0],
  "parameter-problem": [4, 0],
};

/** What the peer knows of one of a script's connections. */
interface Connection {
  hostIss: number | null;
  hostPort: number;
  readonly port: number;
  lastTs: number;
  lastSeen: Uint8Array | null;
  /** Whether the peer's SYN had a window scale; then the host's, if its SYN had one too. */
  peerScales: boolean;
  hostScale: number;
  /** Highest acknowledgment number plus window so far. */
  rightEdge: number;
  /** Frames that arrived while something else was being timed. */
  readonly waiting: Waiting[];
}

interface Waiting {
  readonly seen: SeenSegment;
  readonly atUs: number;
}

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
  private readonly firstPort: number;
  private readonly connections = new Map<number, Connection>();
  private current: Connection;
  private currentNumber = 1;
  private atUs: number;
  private readonly log: string[] = [];

  constructor(host: TestedHost, options: ScriptedPeerOptions, name: string) {
    this.host = host;
    this.name = name;
    this.mac = options.mac;
    this.address = options.address;
    this.firstPort = options.port;
    this.current = this.connection(1);
    this.atUs = host.nowUs();
  }

  /** Connection N, whose peer port is the first one plus N - 1. */
  private connection(number: number): Connection {
    let connection = this.connections.get(number);
    if (connection === undefined) {
      const port = this.firstPort + number - 1;
      const { port: hostPort } = this.host;
      connection = {
        hostIss: null,
        hostPort,
        port,
        lastTs: 0,
        lastSeen: null,
        peerScales: false,
        hostScale: 0,
        rightEdge: 0,
        waiting: [],
      };
      this.connections.set(number, connection);
    }
    return connection;
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
    else if (action.kind === "icmp") this.sendIcmp(step, action.name, action.value, action.seq);
    else if (action.kind === "anything") {
      for (const connection of this.connections.values()) connection.waiting.length = 0;
    } else if (action.kind === "conn") {
      this.currentNumber = action.number;
      this.current = this.connection(action.number);
    } else if (action.kind === "call")
      await this.call(step, action.name, action.args, action.result);
  }

  /** Lets time pass; frames that come meanwhile wait for their `>` line, or fail a `nothing`. */
  private async passTime(step: ScriptStep, untilUs: number, nothing: boolean): Promise<void> {
    const early = [...this.connections.values()].flatMap((c) => c.waiting);
    if (nothing && early.length > 0) {
      this.fail(step, `the host had sent ${formatSegment(early[0]!.seen)}`);
    }
    while (this.host.nowUs() < untilUs) {
      const got = await this.nextSegment(untilUs);
      if (got === null) break;
      if (nothing) this.fail(step, `the host sent ${formatSegment(got.one.seen)}`);
      got.connection.waiting.push(got.one);
    }
  }

  private end(): ScriptEnd {
    return { mac: this.mac, address: this.address, port: this.current.port, iss: PEER_ISS };
  }

  private hostEnd(): ScriptEnd {
    const { mac, address } = this.host;
    return { mac, address, port: this.current.hostPort, iss: this.current.hostIss ?? 0 };
  }

  private send(segment: ScriptSegment): void {
    this.log.push(`< ${formatSegment(segment)}`);
    if (segment.flags.includes("S")) {
      this.current.peerScales = segment.options?.some((o) => o.kind === "wscale") ?? false;
    }
    this.host.deliver(buildFrame(segment, this.end(), this.hostEnd(), this.current.lastTs));
  }

  /** An ICMP error that quotes the IP header and 64 bytes of the host's last segment. */
  private sendIcmp(step: ScriptStep, name: string, value: number, seq: number | null): void {
    const isV4 = this.address.isV4;
    const kinds = isV4 ? ICMP4 : ICMP6;
    const kind = kinds[name];
    const seen = this.current.lastSeen;
    if (kind === undefined || seen === null) {
      this.fail(step, `expected one of ${Object.keys(kinds).join(", ")} after a segment`);
    }
    this.log.push(`< icmp ${name} ${value}`);
    const ipAt = ethernet.HEADER_BYTES;
    const quoted = seen!.slice(ipAt, ipAt + 40 + 64);
    if (seq !== null) put32(quoted, (isV4 ? 20 : 40) + 4, this.hostEnd().iss + seq);
    const protocol = isV4 ? 1 : 58;
    const b = ipFrame(protocol, 8 + quoted.length, this.end(), this.hostEnd());
    const at = b.length - 8 - quoted.length;
    b.set(kind!, at);
    put32(b, at + 4, value);
    b.set(quoted, at + 8);
    const pseudo = isV4 ? 0 : pseudoHeader.sum6(b, ipAt, protocol, b.length - at);
    put16(b, at + 2, finish(sum(b, at, b.length - at, pseudo)));
    this.host.deliver(b);
  }

  private async call(
    step: ScriptStep,
    name: string,
    args: readonly string[],
    expected: string | null,
  ): Promise<void> {
    this.log.push(`  ${step.text}`);
    const result = await this.host.call(name, args, this.end(), this.currentNumber);
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
    const got = await this.nextOfCurrent(toUs + tolerance);
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

  private async nextOfCurrent(untilUs: number): Promise<Waiting | null> {
    for (;;) {
      const first = this.current.waiting.shift();
      if (first !== undefined) return first;
      const got = await this.nextSegment(untilUs);
      if (got === null) return null;
      got.connection.waiting.push(got.one);
    }
  }

  /** The host's next TCP segment; ARP is answered on the way, other traffic ignored. */
  private async nextSegment(
    untilUs: number,
  ): Promise<{ connection: Connection; one: Waiting } | null> {
    for (;;) {
      const got = await this.host.nextFrame(untilUs);
      if (got === null) return null;
      this.answerArp(got.frame);
      const raw = readFrame(got.frame, 0, PEER_ISS);
      if (raw === null) continue;
      const connection = [...this.connections.values()].find((c) => c.port === raw.dstPort);
      if (connection === undefined) continue;
      if (connection.hostIss === null || raw.flags.includes("S")) {
        connection.hostIss = raw.rawSeq;
        connection.hostPort = raw.srcPort;
      }
      const seen = readFrame(got.frame, connection.hostIss, PEER_ISS)!;
      if (seen.tsVal !== null) connection.lastTs = seen.tsVal;
      connection.lastSeen = got.frame;
      this.log.push(`> ${formatSegment(seen)}`);
      this.checkWindow(connection, seen);
      return { connection, one: { seen, atUs: got.atUs } };
    }
  }

  /** The right edge of the offered window never moves left; a scaled one may be rounded down. */
  private checkWindow(connection: Connection, seen: SeenSegment): void {
    if (seen.flags.includes("R") || seen.ack === null) return;
    const isSyn = seen.flags.includes("S");
    if (isSyn) {
      const own = seen.options?.find((o) => o.kind === "wscale");
      connection.hostScale = connection.peerScales && own?.kind === "wscale" ? own.value : 0;
      connection.rightEdge = 0;
    }
    const scale = isSyn ? 0 : connection.hostScale;
    const rightEdge = seen.ack + ((seen.window ?? 0) << scale);
    if (this.host.keepsWindow && rightEdge + (1 << scale) <= connection.rightEdge) {
      const text = `the window shrank from ${connection.rightEdge} to ${rightEdge}`;
      throw new ScriptFailure([`${this.name}: ${text}`, ...this.log.slice(-12)].join("\n"));
    }
    connection.rightEdge = Math.max(connection.rightEdge, rightEdge);
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
  if (name === "poll" || name === "get") return null;
  return name === "connect" ? "EINPROGRESS" : "0";
}

/** The first thing in which the segment is not as expected, or null. */
export function difference(wanted: ScriptSegment, seen: SeenSegment): string | null {
  if (!seen.checksumIsValid) return "the checksum is wrong";
  const seenFlags = wanted.words.includes("anyack") ? seen.flags.replace(".", "") : seen.flags;
  if (!sameFlags(wanted.flags, seenFlags)) return `expected flags ${wanted.flags}`;
  if (wanted.seq !== seen.seq) return `expected seq ${wanted.seq}`;
  if (wanted.length !== seen.length) return `expected length ${wanted.length}`;
  if (wanted.ack !== null && wanted.ack !== seen.ack) return `expected ack ${wanted.ack}`;
  if (wanted.window !== null && wanted.window !== seen.window)
    return `expected win ${wanted.window}`;
  if (wanted.urgent !== null && wanted.urgent !== seen.urgent)
    return `expected urg ${wanted.urgent}`;
  const words = wanted.words.filter((word) => !word.includes("=") && word !== "anyack");
  if (words.some((word) => !seen.words.includes(word))) return `expected [${words.join(" ")}]`;
  const rawSeq = wordValue(wanted, "rawseq", seen.rawSeq);
  if (rawSeq !== seen.rawSeq) return `expected rawseq=${rawSeq}`;
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
