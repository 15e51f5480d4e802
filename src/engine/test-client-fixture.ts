/**
 * A program's side of the engine's protocol in TypeScript, without libc: for tests and fuzzing. It
 * does what native/shim does, one step at a time; nothing here blocks.
 */

import { fstatSync } from "node:fs";
import { EAGAIN } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import { Arena } from "../ring/arena.js";
import {
  ACCEPTED_AS_BYTES,
  ACCEPTED_BYTES,
  AcceptedAsAt,
  AcceptedAt,
  ATTACH_BYTES,
  AttachAt,
  CALL_BYTES,
  CALLS_AT,
  CallAt,
  CallState,
  DATAGRAM_BYTES,
  DatagramAt,
  ENTRIES_AT,
  ENTRY_BYTES,
  EntryAt,
  HELLO_BYTES,
  HelloAt,
  HINTS,
  HINTS_AT,
  Kind,
  LAYOUT_VERSION,
  MESSAGE_BYTES,
  Msg,
  OPEN_BYTES,
  OPTION_BYTES,
  Op,
  OpenAt,
  OpenedAt,
  OpenedFor,
  OptionAt,
  REASON_CHARS,
  SESSION_BYTES,
  SessionAt,
  SocketAt,
  SPIN_NOT_GIVEN,
  SUBMITS,
  SUBMITS_AT,
  Submit,
  WAITER_BYTES,
  WAITER_FD_BYTES,
  WAITERS_AT,
  WaiterFdAt,
  WelcomeAt,
} from "../ring/engine-layout.js";
import { Family } from "../socket/linux-options.js";
import { closeFd, createEvent, drainEvent, wakeByEvent } from "../sys/fd.js";
import { mapShared, unmapShared } from "../sys/memory.js";
import { connectUnix, receiveWithFds, sendWithFds, unixPair } from "../sys/unix-socket.js";
import { SharedAddress, writeAddress } from "./shared-address.js";

/** Where programs of this process map what engines give them. */
let arena: Arena | null = null;
const ARENA_BYTES = 1 << 29;

/** A mapped memfd. */
interface Mapped {
  readonly buffer: ArrayBuffer;
  readonly at: number;
  readonly bytes: number;
}

function mapFd(fd: number, bytes: number): Mapped {
  arena ??= new Arena(ARENA_BYTES);
  const at = arena.lend(bytes);
  if (at < 0) throw new Error("the test clients' address space is full");
  mapShared(arena.memory!, { at, lengthBytes: bytes, fd });
  return { buffer: arena.memory!.buffer, at, bytes };
}

function unmap({ at, bytes }: Mapped): void {
  unmapShared(arena!.memory!, at, bytes);
  arena!.takeBack(at);
}

export interface ClientOptions {
  readonly program?: string;
  readonly address?: string;
  readonly profile?: string;
  /** Lets the engine work; called while the client waits for an answer. */
  readonly run: () => void;
}

/** An end that the engine keeps for the next connection. */
export interface TestParked {
  readonly result: number;
  readonly local: number;
  readonly endFd: number;
  readonly regionId: number;
  readonly headerAt: number;
}

/** Answer of OPEN, ATTACH and REGION. */
export interface ClientOpened {
  readonly result: number;
  readonly reason: string;
  readonly companionFd: number;
}

const END_CAPACITY = 2_000_000;

export class TestClient {
  readonly controlFd: number;
  readonly session: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly wakeFd: number;
  readonly sessionId: number;
  private readonly run: () => void;
  private readonly regions = new Map<number, { mapped: Mapped; fd: number }>();
  private readonly mapped: Mapped;
  private readonly message = new Uint8Array(MESSAGE_BYTES);
  private readonly messageView = new DataView(this.message.buffer);
  private readonly fds: number[] = [];
  private hintHead = 0;
  private nextLocal = 0;

  constructor(path: string, options: ClientOptions) {
    this.run = options.run;
    this.controlFd = connectUnix({ path });
    if (this.controlFd < 0) throw new Error(`connect: ${this.controlFd}`);
    const hello = new Uint8Array(HELLO_BYTES);
    const view = new DataView(hello.buffer);
    view.setUint32(HelloAt.type, Msg.HELLO, true);
    view.setUint32(HelloAt.version, LAYOUT_VERSION, true);
    view.setInt32(HelloAt.pid, process.pid, true);
    view.setUint32(HelloAt.spinUs, SPIN_NOT_GIVEN, true);
    hello.set(Buffer.from(options.program ?? "test"), HelloAt.program);
    hello.set(Buffer.from(options.address ?? ""), HelloAt.address);
    hello.set(Buffer.from(options.profile ?? ""), HelloAt.profile);
    this.ask(hello, []);
    const result = this.messageView.getInt32(WelcomeAt.result, true);
    if (result !== 0) {
      closeFd(this.controlFd);
      throw new Error(`HELLO: ${result} ${this.text(WelcomeAt.reason)}`);
    }
    this.sessionId = this.messageView.getUint32(WelcomeAt.sessionId, true);
    const [sessionFd, wakeFd] = this.fds;
    this.wakeFd = wakeFd!;
    this.mapped = mapFd(sessionFd!, SESSION_BYTES);
    closeFd(sessionFd!);
    const { buffer, at } = this.mapped;
    this.session = new Int32Array(buffer, at, SESSION_BYTES >> 2);
    this.bytes = new Uint8Array(buffer, at, SESSION_BYTES);
    this.view = new DataView(buffer, at, SESSION_BYTES);
  }

  private text(at: number): string {
    const end = this.message.indexOf(0, at);
    return Buffer.from(this.message.subarray(at, Math.min(end, at + REASON_CHARS))).toString();
  }

  /** Sends a request and waits for its answer, which is then in `message` and `fds`. */
  private ask(request: Uint8Array, fds: readonly number[]): void {
    const sent = sendWithFds(this.controlFd, request, fds);
    if (sent < 0) throw new Error(`send: ${sent}`);
    for (let i = 0; i < END_CAPACITY; i++) {
      this.run();
      const n = receiveWithFds(this.controlFd, this.message, this.fds);
      if (n === -EAGAIN) continue;
      if (n <= 0) throw new Error("the engine hung up");
      return;
    }
    throw new Error("no answer");
  }

  // Sockets

  /** Opens a socket; the kernel's side of it is left out. */
  open(o: {
    kind: number;
    at: number;
    family?: number;
    own?: string;
    ownPort?: number;
    peer?: string;
    peerPort?: number;
    companionFd?: number;
    options?: readonly (readonly [level: number, option: number, value: number | Uint8Array])[];
  }): TestSocket {
    const local = this.nextLocal++;
    const [mine, theirs] = unixPair();
    const options = Buffer.concat((o.options ?? []).map(optionRecord));
    const request = new Uint8Array(OPEN_BYTES + options.length);
    const view = new DataView(request.buffer);
    const family = o.family ?? Family.INET;
    view.setUint32(OpenAt.type, Msg.OPEN, true);
    view.setUint32(OpenAt.local, local, true);
    view.setUint16(OpenAt.kind, o.kind, true);
    view.setUint16(OpenAt.family, family, true);
    view.setUint32(OpenAt.at, o.at, true);
    view.setInt32(OpenAt.fd, mine, true);
    view.setUint32(OpenAt.hasCompanion, o.companionFd === undefined ? 0 : 1, true);
    if (o.own !== undefined) {
      writeAddress(view, OpenAt.own, family, IpAddress.parse(o.own), o.ownPort ?? 0, 0);
    }
    if (o.peer !== undefined) {
      writeAddress(view, OpenAt.peer, family, IpAddress.parse(o.peer), o.peerPort ?? 0, 0);
    }
    view.setBigUint64(OpenAt.endInode, BigInt(fstatSync(mine).ino), true);
    view.setUint32(OpenAt.optionsBytes, options.length, true);
    request.set(options, OPEN_BYTES);
    const passed = o.companionFd === undefined ? [theirs] : [theirs, o.companionFd];
    this.ask(request, passed);
    closeFd(theirs);
    return this.opened(local, mine, family);
  }

  /** Takes a socket over whose program's end it was given. */
  attach(endFd: number, family: number = Family.INET): TestSocket {
    const local = this.nextLocal++;
    const request = new Uint8Array(ATTACH_BYTES);
    const view = new DataView(request.buffer);
    view.setUint32(AttachAt.type, Msg.ATTACH, true);
    view.setUint32(AttachAt.local, local, true);
    view.setInt32(AttachAt.fd, endFd, true);
    this.ask(request, [endFd]);
    return this.opened(local, endFd, family);
  }

  private opened(local: number, endFd: number, family: number): TestSocket {
    const view = this.messageView;
    const result = view.getInt32(OpenedAt.result, true);
    const reason = this.text(OpenedAt.reason);
    if (result !== 0) {
      closeFd(endFd);
      return new TestSocket(this, local, -1, family, null, 0, result, reason);
    }
    const regionId = view.getUint32(OpenedAt.regionId, true);
    const bytes = view.getUint32(OpenedAt.regionBytes, true);
    const hasCompanion = view.getUint32(OpenedAt.hasCompanion, true) !== 0;
    const hasRegion = view.getUint32(OpenedAt.hasRegion, true) !== 0;
    const companionFd = hasCompanion ? this.fds[0]! : -1;
    if (hasRegion) this.addRegion(regionId, this.fds[hasCompanion ? 1 : 0]!, bytes);
    const { mapped } = this.regions.get(regionId)!;
    const headerAt = view.getUint32(OpenedAt.headerAt, true);
    const socket = new TestSocket(this, local, endFd, family, mapped, headerAt, 0, reason);
    socket.companionFd = companionFd;
    return socket;
  }

  private addRegion(id: number, fd: number, bytes: number): void {
    this.regions.set(id, { mapped: mapFd(fd, bytes), fd });
  }

  /** Takes a connection out of a listener's ring; null when there is none. */
  accept(listener: TestSocket): TestSocket | null {
    const { words, view } = listener;
    const head = listener.rxHead;
    if (Atomics.load(words, listener.at(SocketAt.rxTail)) === head) return null;
    const at = listener.rxAt + (head & (listener.rxBytes - 1));
    const connection = view.getUint32(at + AcceptedAt.connection, true);
    const regionId = view.getUint32(at + AcceptedAt.regionId, true);
    const headerAt = view.getUint32(at + AcceptedAt.headerAt, true);
    listener.setHead((head + ACCEPTED_BYTES) | 0);
    if (!this.regions.has(regionId)) {
      const request = new Uint8Array(8);
      new DataView(request.buffer).setUint32(0, Msg.REGION, true);
      new DataView(request.buffer).setUint32(4, regionId, true);
      this.ask(request, []);
      const result = this.messageView.getInt32(OpenedAt.result, true);
      if (result !== 0) throw new Error(`REGION: ${result}`);
      const bytes = this.messageView.getUint32(OpenedAt.regionBytes, true);
      this.addRegion(regionId, this.fds[0]!, bytes);
    }
    const local = this.nextLocal++;
    const [mine, theirs] = unixPair();
    const message = new Uint8Array(ACCEPTED_AS_BYTES);
    const m = new DataView(message.buffer);
    m.setUint32(AcceptedAsAt.type, Msg.ACCEPTED, true);
    m.setUint32(AcceptedAsAt.local, local, true);
    m.setUint32(AcceptedAsAt.connection, connection, true);
    m.setInt32(AcceptedAsAt.fd, mine, true);
    m.setBigUint64(AcceptedAsAt.endInode, BigInt(fstatSync(mine).ino), true);
    sendWithFds(this.controlFd, message, [theirs]);
    closeFd(theirs);
    this.submit(Submit.CONTROL);
    const { mapped } = this.regions.get(regionId)!;
    return new TestSocket(this, local, mine, listener.family, mapped, headerAt, 0, "");
  }

  // Ends that are used again

  /** MR_OP_PARK: the answer's result, and where the block is that came with it. */
  park(s: TestSocket, connects: boolean): TestParked {
    const { result } = this.call(Op.PARK, s.local, [connects ? 1 : 0]);
    const at = CALLS_AT + CallAt.args;
    return {
      result,
      local: s.local,
      endFd: s.endFd,
      regionId: this.view.getUint32(at + 4, true),
      headerAt: this.view.getUint32(at + 8, true),
    };
  }

  /** MR_OP_OPEN with the message that OPEN would have: connects. */
  openParked(parked: TestParked, peer: string, port: number, family: number = Family.INET) {
    const request = connectMessage(parked.local, parked.endFd, peer, port, family);
    const { result } = this.call(Op.OPEN, parked.local, [], request);
    const mapped = this.regions.get(parked.regionId)?.mapped ?? null;
    return new TestSocket(
      this,
      parked.local,
      parked.endFd,
      family,
      mapped,
      parked.headerAt,
      result,
      "",
    );
  }

  /** MR_OP_CLAIM: a connection out of a listener's ring gets a parked end. */
  claim(listener: TestSocket, parked: TestParked): TestSocket | null {
    const { words, view } = listener;
    const head = listener.rxHead;
    if (Atomics.load(words, listener.at(SocketAt.rxTail)) === head) return null;
    const at = listener.rxAt + (head & (listener.rxBytes - 1));
    const connection = view.getUint32(at + AcceptedAt.connection, true);
    const { mapped } = this.regions.get(view.getUint32(at + AcceptedAt.regionId, true))!;
    const headerAt = view.getUint32(at + AcceptedAt.headerAt, true);
    listener.setHead((head + ACCEPTED_BYTES) | 0);
    const { local, endFd } = parked;
    const { result } = this.call(Op.CLAIM, local, [connection, endFd]);
    return new TestSocket(this, local, endFd, listener.family, mapped, headerAt, result, "");
  }

  // Submissions and calls

  submit(value: number): void {
    const tail = Atomics.add(this.session, SessionAt.submitTail >> 2, 1);
    Atomics.store(this.session, (SUBMITS_AT >> 2) + (tail & (SUBMITS - 1)), (value + 1) | 0);
    if (Atomics.load(this.session, SessionAt.engineSleeps >> 2) !== 0) wakeByEvent(this.wakeFd);
  }

  /** Starts a call in slot `n`. */
  startCall(
    n: number,
    op: number,
    local: number,
    args: readonly number[],
    data: Uint8Array = new Uint8Array(0),
    waiter = 0xffff_ffff,
  ): void {
    const at = CALLS_AT + n * CALL_BYTES;
    this.view.setUint32(at + CallAt.op, op, true);
    this.view.setUint32(at + CallAt.local, local, true);
    this.view.setUint32(at + CallAt.waiter, waiter, true);
    for (const [i, arg] of args.entries()) this.view.setInt32(at + CallAt.args + 4 * i, arg, true);
    this.view.setUint32(at + CallAt.dataBytes, data.length, true);
    this.bytes.set(data, at + CallAt.data);
    Atomics.store(this.session, at >> 2, CallState.BUSY);
    this.submit(Submit.CALL + n);
  }

  isDone(n: number): boolean {
    return Atomics.load(this.session, (CALLS_AT + n * CALL_BYTES) >> 2) === CallState.DONE;
  }

  callResult(n: number): { result: number; data: Uint8Array } {
    const at = CALLS_AT + n * CALL_BYTES;
    const bytes = this.view.getUint32(at + CallAt.dataBytes, true);
    const data = this.bytes.slice(at + CallAt.data, at + CallAt.data + bytes);
    Atomics.store(this.session, at >> 2, CallState.FREE);
    return { result: this.view.getInt32(at + CallAt.result, true), data };
  }

  /** A call, to its end. */
  call(
    op: number,
    local: number,
    args: readonly number[] = [],
    data: Uint8Array = new Uint8Array(0),
  ): { result: number; data: Uint8Array } {
    this.startCall(0, op, local, args, data);
    for (let i = 0; i < END_CAPACITY && !this.isDone(0); i++) this.run();
    if (!this.isDone(0)) throw new Error(`call ${op} did not end`);
    return this.callResult(0);
  }

  // Waiting

  /** Makes waiter `n` known; its eventfd is the caller's. */
  addWaiter(n: number): number {
    const fd = createEvent();
    const message = new Uint8Array(WAITER_FD_BYTES);
    const view = new DataView(message.buffer);
    view.setUint32(WaiterFdAt.type, Msg.WAITER, true);
    view.setUint32(WaiterFdAt.waiter, n, true);
    sendWithFds(this.controlFd, message, [fd]);
    return fd;
  }

  /** Word of a waiter's state. */
  waiterAt(n: number): number {
    return (WAITERS_AT + n * WAITER_BYTES) >> 2;
  }

  entryAt(local: number, at: number): number {
    return (ENTRIES_AT + local * ENTRY_BYTES + at) >> 2;
  }

  /** The next hint: a socket's number, or -1. */
  takeHint(): number {
    const tail = Atomics.load(this.session, SessionAt.hintTail >> 2);
    if (tail === this.hintHead) return -1;
    const local = this.session[(HINTS_AT >> 2) + (this.hintHead & (HINTS - 1))]!;
    this.hintHead = (this.hintHead + 1) | 0;
    Atomics.store(this.session, SessionAt.hintHead >> 2, this.hintHead);
    Atomics.store(this.session, this.entryAt(local, EntryAt.hinted), 0);
    return local;
  }

  /** Whether an event of {@link addWaiter} was signalled. */
  wasRung(fd: number): boolean {
    return drainEvent(fd);
  }

  /** The process's end, but for its sockets. Idempotent. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    closeFd(this.controlFd);
    closeFd(this.wakeFd);
    for (const { fd, mapped } of this.regions.values()) {
      closeFd(fd);
      unmap(mapped);
    }
    unmap(this.mapped);
  }

  private isClosed = false;
}

/** The message of MR_OP_OPEN. */
export function connectMessage(
  local: number,
  fd: number,
  peer: string,
  port: number,
  family: number,
): Uint8Array {
  const request = new Uint8Array(OPEN_BYTES);
  const view = new DataView(request.buffer);
  view.setUint32(OpenAt.type, Msg.OPEN, true);
  view.setUint32(OpenAt.local, local, true);
  view.setUint16(OpenAt.kind, Kind.TCP, true);
  view.setUint16(OpenAt.family, family, true);
  view.setUint32(OpenAt.at, OpenedFor.CONNECT, true);
  view.setInt32(OpenAt.fd, fd, true);
  writeAddress(view, OpenAt.peer, family, IpAddress.parse(peer), port, 0);
  return request;
}

function optionRecord(
  o: readonly [level: number, option: number, value: number | Uint8Array],
): Uint8Array {
  const [level, option, value] = o;
  const bytes = typeof value === "number" ? new Uint8Array(Int32Array.of(value).buffer) : value;
  const record = new Uint8Array(OPTION_BYTES + ((bytes.length + 3) & ~3));
  const view = new DataView(record.buffer);
  view.setInt32(OptionAt.level, level, true);
  view.setInt32(OptionAt.option, option, true);
  view.setUint32(OptionAt.bytes, bytes.length, true);
  record.set(bytes, OPTION_BYTES);
  return record;
}

/** A datagram as a program gets it. */
export interface ClientDatagram {
  readonly data: Uint8Array;
  readonly from: string;
  readonly fromPort: number;
}

export class TestSocket {
  readonly client: TestClient;
  readonly local: number;
  readonly endFd: number;
  readonly family: number;
  /** Of the OPEN. */
  readonly result: number;
  readonly reason: string;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly headerAt: number;
  companionFd = -1;

  constructor(
    client: TestClient,
    local: number,
    endFd: number,
    family: number,
    mapped: Mapped | null,
    headerAt: number,
    result: number,
    reason: string,
  ) {
    this.client = client;
    this.local = local;
    this.endFd = endFd;
    this.family = family;
    this.result = result;
    this.reason = reason;
    this.headerAt = headerAt;
    const { buffer, at, bytes } = mapped ?? { buffer: new ArrayBuffer(512), at: 0, bytes: 512 };
    this.words = new Int32Array(buffer, at, bytes >> 2);
    this.bytes = new Uint8Array(buffer, at, bytes);
    this.view = new DataView(buffer, at, bytes);
  }

  /** Word index of a field of the header. */
  at(field: number): number {
    return (this.headerAt + field) >> 2;
  }
  word(field: number): number {
    return Atomics.load(this.words, this.at(field));
  }
  get rxAt(): number {
    return this.word(SocketAt.rxAt);
  }
  get rxBytes(): number {
    return this.word(SocketAt.rxBytes);
  }
  get txAt(): number {
    return this.word(SocketAt.txAt);
  }
  get txBytes(): number {
    return this.word(SocketAt.txBytes);
  }
  get rxHead(): number {
    return this.word(SocketAt.rxHead);
  }
  get status(): number {
    return this.word(SocketAt.status);
  }
  get kind(): number {
    return this.view.getUint16(this.headerAt + SocketAt.kind, true);
  }

  takeError(): number {
    return Atomics.exchange(this.words, this.at(SocketAt.error), 0);
  }

  name(field: number): { address: string; port: number } {
    const a = new SharedAddress();
    a.read(this.view, this.headerAt + field);
    return { address: a.address.toString(), port: a.port };
  }

  submit(): void {
    if (Atomics.exchange(this.words, this.at(SocketAt.submitted), 1) === 0) {
      this.client.submit(this.local);
    }
  }

  setHead(head: number): void {
    Atomics.store(this.words, this.at(SocketAt.rxHead), head);
    if (Atomics.exchange(this.words, this.at(SocketAt.rxBlocked), 0) !== 0) this.submit();
  }

  /** Room in the ring to the engine. */
  get room(): number {
    return this.txBytes - (this.word(SocketAt.txTail) - this.word(SocketAt.txHead));
  }

  /** Sends as much of a stream as there is room for; how many bytes. */
  send(data: Uint8Array): number {
    const n = Math.min(data.length, this.room);
    const tail = this.word(SocketAt.txTail);
    for (let i = 0; i < n; i++) {
      this.bytes[this.txAt + ((tail + i) & (this.txBytes - 1))] = data[i]!;
    }
    Atomics.store(this.words, this.at(SocketAt.txTail), (tail + n) | 0);
    if (n < data.length) Atomics.store(this.words, this.at(SocketAt.noSpace), 1);
    this.submit();
    return n;
  }

  /** Takes what there is of a stream, at most `most` bytes. */
  receive(most = 1 << 20): Uint8Array {
    const head = this.rxHead;
    const n = Math.min(most, (this.word(SocketAt.rxTail) - head) | 0);
    const data = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      data[i] = this.bytes[this.rxAt + ((head + i) & (this.rxBytes - 1))]!;
    }
    this.setHead((head + n) | 0);
    return data;
  }

  /** Sends a datagram; false when there is no room. */
  sendTo(data: Uint8Array, peer: string | null, port = 0): boolean {
    const space = (DATAGRAM_BYTES + data.length + 63) & -64;
    if (this.room < space) {
      Atomics.store(this.words, this.at(SocketAt.noSpace), 1);
      this.submit();
      return false;
    }
    const tail = this.word(SocketAt.txTail);
    const mask = this.txBytes - 1;
    const at = this.txAt + (tail & mask);
    for (let i = 0; i < DATAGRAM_BYTES; i += 4) this.view.setInt32(at + i, 0);
    this.view.setUint32(at + DatagramAt.payloadBytes, data.length, true);
    if (peer !== null) {
      writeAddress(this.view, at + DatagramAt.peer, this.family, IpAddress.parse(peer), port, 0);
    }
    for (let i = 0; i < data.length; i++) {
      this.bytes[this.txAt + ((tail + DATAGRAM_BYTES + i) & mask)] = data[i]!;
    }
    Atomics.store(this.words, this.at(SocketAt.txTail), (tail + space) | 0);
    this.submit();
    return true;
  }

  receiveFrom(): ClientDatagram | null {
    const head = this.rxHead;
    if (this.word(SocketAt.rxTail) === head) return null;
    const mask = this.rxBytes - 1;
    const at = this.rxAt + (head & mask);
    const n = this.view.getUint32(at, true);
    const a = new SharedAddress();
    a.read(this.view, at + DatagramAt.peer);
    const data = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      data[i] = this.bytes[this.rxAt + ((head + DATAGRAM_BYTES + i) & mask)]!;
    }
    this.setHead((head + ((DATAGRAM_BYTES + n + 63) & -64)) | 0);
    return { data, from: a.address.toString(), fromPort: a.port };
  }

  call(
    op: number,
    args: readonly number[] = [],
    data: Uint8Array = new Uint8Array(0),
  ): { result: number; data: Uint8Array } {
    return this.client.call(op, this.local, args, data);
  }

  /** An operation whose data are an address. */
  callWith(op: number, address: string, port: number): number {
    const data = new Uint8Array(24);
    const view = new DataView(data.buffer);
    writeAddress(view, 0, this.family, IpAddress.parse(address), port, 0);
    return this.call(op, [], data).result;
  }

  /** As the last close(2): the program's end goes. */
  close(): void {
    closeFd(this.endFd);
  }
}
