/**
 * A scripted peer of one engine, in virtual time:
 *
 *   const s = TcpScript.accepted();         // handshake done, the clock reads 0 ms
 *   s.app.write(1000);
 *   s.at(0).expect("PA 1:1001 ack 1");
 *   s.at(10).send("A 1:1 ack 1001");
 *
 * A segment is `FLAGS SEQ:END [ack N] [win N] [urg N] [mss N] [ws N] [sackOK] [sack A:B,C:D] [ts V E]
 * [ece]`. Sequence numbers are relative to each side's initial one, so that data begin at 1. Of an
 * expected segment only what the text mentions is compared. Segments are 1,000 bytes unless said
 * otherwise; no timestamps, no window scale, SACK only if asked for.
 */
import assert from "node:assert/strict";
import { fold } from "../../src/base/checksum.js";
import { IpAddress } from "../../src/base/ip-address.js";
import { FrameFlags, HEADROOM_BYTES } from "../../src/ring/pool.js";
import type { TcpSettings } from "../../src/tcp/settings.js";
import * as pseudo from "../../src/wire/pseudo-header.js";
import * as wire from "../../src/wire/tcp.js";
import * as options from "../../src/wire/tcp-options.js";
import { TcpWorld, type WorldOptions } from "./tcp-world.js";

export interface ScriptOptions extends WorldOptions {
  /** Options of the peer's SYN or SYN-ACK, as in a segment's text. */
  readonly peerSyn?: string;
  /** The peer's address. */
  readonly peer?: string;
  /** Window field of the peer's first ACK. */
  readonly peerWindow?: number;
  /** Called before the handshake, with the row that listens or connects. */
  readonly before?: (world: TcpWorld, row: number) => void;
}

const PEER_ISS = 5000;
const PORT = 80;
const PEER_PORT = 50_000;
const LETTERS: readonly (readonly [string, number])[] = [
  ["S", wire.SYN],
  ["F", wire.FIN],
  ["R", wire.RST],
  ["P", wire.PSH],
  ["A", wire.ACK],
  ["U", wire.URG],
  ["E", wire.ECE],
  ["C", wire.CWR],
];
/** A plain peer: what tests want unless they are about options. */
const PLAIN: Partial<TcpSettings> = { timestamps: false, windowScaling: false };

export class TcpScript {
  readonly world: TcpWorld;
  readonly peer: IpAddress;
  readonly sent: string[] = [];
  /** The connection under test. */
  row = -1;
  listener = -1;
  /** Our initial sequence number, seen in our SYN. */
  iss = 0;
  private knowsIss = false;

  constructor(o: ScriptOptions = {}) {
    this.peer = IpAddress.parse(o.peer ?? "10.0.0.2");
    this.world = new TcpWorld({ ...o, settings: { ...PLAIN, ...o.settings } });
    this.world.sink = (slot, local, remote) => {
      this.checkChecksum(slot, local, remote);
      this.sent.push(this.describe(slot));
      this.world.pool.give(slot);
    };
  }

  /** A connection that the peer opened and the user has accepted. */
  static accepted(o: ScriptOptions = {}): TcpScript {
    const s = new TcpScript(o);
    s.listen(o);
    s.send(`S 0:0 ${o.peerSyn ?? "mss 1000"} win 65535`);
    s.expectStart("SA 0:0 ack 1");
    s.send(`A 1:1 ack 1 win ${o.peerWindow ?? 65_535}`);
    s.row = s.world.tcp.accept(s.listener);
    assert.ok(s.row >= 0, "accepted");
    s.expectNothing();
    return s;
  }

  /** A connection that the user has opened. */
  static connected(o: ScriptOptions = {}): TcpScript {
    const s = new TcpScript(o);
    s.connect(o);
    s.expectStart("S 0:0");
    s.send(`SA 0:0 ack 1 ${o.peerSyn ?? "mss 1000"} win 65535`);
    s.expectStart("A 1:1 ack 1");
    return s;
  }

  listen(o: ScriptOptions = {}, backlog = 16): void {
    this.listener = this.world.listen(PORT, backlog);
    o.before?.(this.world, this.listener);
  }

  connect(o: ScriptOptions = {}): void {
    const w = this.world;
    this.row = w.tcp.create();
    w.tcp.setLocal(this.row, w.local, PORT);
    w.tcp.setRemote(this.row, this.peer, PEER_PORT);
    o.before?.(w, this.row);
    assert.equal(w.tcp.connect(this.row, w.nowUs), -115);
    w.turn(w.nowUs);
  }

  /** Moves the clock to `ms`, firing every timer on the way at its time. */
  at(ms: number): this {
    const w = this.world;
    const end = ms * 1000;
    assert.ok(end >= w.nowUs, `the clock reads ${w.nowUs / 1000} ms already`);
    for (let next = w.nextTimerUs(); next <= end; next = w.nextTimerUs()) {
      w.turn(Math.max(next, w.nowUs));
    }
    w.turn(end);
    return this;
  }

  /** The next segment that was sent is this one. */
  expect(text: string): this {
    this.world.turn(this.world.nowUs);
    return this.expectStart(text);
  }

  private expectStart(text: string): this {
    const actual = this.sent.shift();
    assert.ok(actual !== undefined, `expected "${text}", nothing was sent`);
    assert.ok(matches(actual, text), `expected "${text}", sent "${actual}"`);
    return this;
  }

  /** Nothing was sent (since what was expected last). */
  expectNothing(): this {
    this.world.turn(this.world.nowUs);
    assert.deepEqual(this.sent, []);
    return this;
  }

  /** Forgets what was sent. */
  skip(): this {
    this.world.turn(this.world.nowUs);
    this.sent.length = 0;
    return this;
  }

  /** The peer sends a segment; the engine's turn follows unless `batched`. */
  send(text: string, o: { data?: Uint8Array; batched?: boolean; tos?: number } = {}): this {
    this.world.deliver(this.build(text, o.data), this.peer, o.tos ?? 0);
    if (o.batched !== true) this.world.turn(this.world.nowUs);
    return this;
  }

  /** What the user of the connection does. */
  readonly app = {
    write: (n: number | Uint8Array, flags = 0): number => {
      const data = typeof n === "number" ? pattern(0, n) : n;
      return this.world.write(this.row, data, flags);
    },
    /** Bytes read, or a negated errno; 0 is the end of data. */
    read: (n = 65_536, flags = 0): number => {
      const got = this.world.read(this.row, n, flags);
      return got === null ? 0 : typeof got === "number" ? got : got.length;
    },
    text: (n = 65_536, flags = 0): string => {
      const got = this.world.read(this.row, n, flags);
      return got instanceof Uint8Array ? new TextDecoder().decode(got) : String(got);
    },
    close: (): void => this.world.tcp.close(this.row, this.world.nowUs),
    shutdown: (how = 1): number => this.world.tcp.shutdown(this.row, how, this.world.nowUs),
    set: (option: number, value: number): number =>
      this.world.tcp.setOption(this.row, option, value, this.world.nowUs),
  };

  get state(): number {
    return this.world.stateOf(this.row);
  }

  private build(text: string, data?: Uint8Array): number {
    const f = fields(text);
    const p = this.world.pool;
    const slot = p.take();
    const at = p.base(slot) + HEADROOM_BYTES;
    let end = at + wire.HEADER_BYTES;
    end = this.buildOptions(f, p.bytes, end);
    const [seq, last] = f.range;
    wire.writePorts(p.bytes, at, PEER_PORT, PORT);
    wire.writeNumbers(p.bytes, at, PEER_ISS + seq, f.ack === null ? 0 : this.iss + f.ack);
    wire.writeControl(p.bytes, at, end - at, f.flags, f.numbers.get("win") ?? 65_535);
    wire.setUrgentPointer(p.bytes, at, f.numbers.get("urg") ?? 0);
    const payload = data ?? pattern(seq, last - seq);
    assert.equal(payload.length, last - seq, "the data fit the range");
    p.bytes.set(payload, end);
    p.at[slot] = at;
    p.l4At[slot] = at;
    p.end[slot] = end + payload.length;
    p.flags[slot] = 0;
    p.gsoBytes[slot] = 0;
    return slot;
  }

  private buildOptions(f: Fields, b: Uint8Array, at: number): number {
    const mss = f.numbers.get("mss");
    if (mss !== undefined) at = options.putMss(b, at, mss);
    if (f.sackOk) at = options.putSackPermitted(b, at);
    if (f.ts !== null) at = options.putTimestamps(b, at, f.ts[0], f.ts[1]);
    const ws = f.numbers.get("ws");
    if (ws !== undefined) at = options.putWindowScale(b, at, ws);
    if (f.sack.length > 0) {
      const blocks = Int32Array.from(f.sack, (n) => this.iss + n);
      at = options.putSack(b, at, blocks, blocks.length / 2);
    }
    return at;
  }

  /** The field holds the pseudo-header's sum, and the frame says that the rest is to be added. */
  private checkChecksum(slot: number, local: IpAddress, remote: IpAddress): void {
    const p = this.world.pool;
    const at = p.at[slot]!;
    const sum = pseudo.sum(local, remote, 6, p.end[slot]! - at);
    assert.equal(wire.checksum(p.bytes, at), fold(sum));
    assert.ok((p.flags[slot]! & FrameFlags.CHECKSUM_PARTIAL) !== 0);
    assert.deepEqual([p.csumStart[slot], p.csumOffset[slot]], [at, 16]);
  }

  /** A segment that we sent, as text with everything in it. */
  private describe(slot: number): string {
    const p = this.world.pool;
    const b = p.bytes;
    const at = p.at[slot]!;
    assert.equal(wire.check(b, at, p.end[slot]!), 0, "the engine sent a broken segment");
    const h = wire.parse(b, at);
    const o = new options.TcpOptions();
    options.parse(b, at, o);
    if ((h.flags & wire.SYN) !== 0 && !this.knowsIss) {
      this.iss = h.seq | 0;
      this.knowsIss = true;
    }
    const seq = (h.seq - this.iss) | 0;
    const n = p.end[slot]! - wire.payloadAt(b, at);
    const letters = LETTERS.filter(([, bit]) => (h.flags & bit) !== 0).map(([l]) => l);
    const parts = [letters.join(""), `${seq}:${seq + n}`];
    const rel = (v: number): number => (v - PEER_ISS) | 0;
    if ((h.flags & wire.ACK) !== 0) parts.push(`ack ${rel(h.ack)}`);
    parts.push(`win ${h.window}`);
    if ((h.flags & wire.URG) !== 0) parts.push(`urg ${h.urgentPointer}`);
    if (o.mssBytes >= 0) parts.push(`mss ${o.mssBytes}`);
    if (o.windowScale >= 0) parts.push(`ws ${o.windowScale}`);
    if (o.sackPermitted) parts.push("sackOK");
    if (o.hasTimestamps) parts.push(`ts ${o.tsVal} ${o.tsEcr}`);
    const sack: string[] = [];
    for (let k = 0; k < o.sackBlocks; k++) {
      sack.push(`${rel(o.sack[2 * k]!)}:${rel(o.sack[2 * k + 1]!)}`);
    }
    if (sack.length > 0) parts.push(`sack ${sack.join(",")}`);
    if ((p.flags[slot]! & (1 << 16)) !== 0) parts.push("ect");
    return parts.join(" ");
  }
}

/** Bytes that depend on their place in the stream, so that a shift shows. */
export function pattern(from: number, n: number): Uint8Array {
  return Uint8Array.from(
    { length: Math.max(0, n) },
    (_, i) => ((from + i) * 7 + ((from + i) >> 8)) & 0xff,
  );
}

interface Fields {
  flags: number;
  range: [number, number];
  ack: number | null;
  numbers: Map<string, number>;
  sackOk: boolean;
  sack: number[];
  ts: [number, number] | null;
}

function fields(text: string): Fields {
  const words = text.trim().split(/\s+/);
  const f: Fields = {
    flags: flagsOf(words[0]!),
    range: pair(words[1]!),
    ack: null,
    numbers: new Map(),
    sackOk: false,
    sack: [],
    ts: null,
  };
  for (let i = 2; i < words.length; i++) {
    const word = words[i]!;
    if (word === "sackOK") f.sackOk = true;
    else if (word === "ack") f.ack = Number(words[++i]);
    else if (word === "sack") f.sack = words[++i]!.split(",").flatMap(pair);
    else if (word === "ts") f.ts = [Number(words[++i]), Number(words[++i])];
    else f.numbers.set(word, Number(words[++i]));
  }
  return f;
}

function flagsOf(letters: string): number {
  let flags = 0;
  for (const letter of letters) {
    const found = LETTERS.find(([l]) => l === letter);
    assert.ok(found !== undefined, `there is no flag ${letter}`);
    flags |= found[1];
  }
  return flags;
}

function pair(text: string): [number, number] {
  const [a, b] = text.split(":").map(Number);
  return [a!, b!];
}

/** Whether everything that `wanted` mentions is in `actual`. */
function matches(actual: string, wanted: string): boolean {
  const [flags, range, ...rest] = wanted.trim().split(/\s+/);
  if (!actual.startsWith(`${flags} ${range} `) && actual !== `${flags} ${range}`) return false;
  const named = rest.join(" ").match(/[a-zA-Z]+( -?[\d:,-]+)*/g) ?? [];
  return named.every((field) => ` ${actual} `.includes(` ${field} `));
}
