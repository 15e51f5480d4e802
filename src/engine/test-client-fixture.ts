/**
 * A program's side of the engine's protocol in TypeScript, without libc: for tests and fuzzing. It
 * does what native/shim does, one step at a time; nothing here blocks.
 */

import { fstatSync } from "node:fs";
import { EAGAIN } from "../base/errno.js";
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
  ENTRIES_AT,
  ENTRY_BYTES,
  EntryAt,
  HELLO_BYTES,
  HelloAt,
  HelloFlag,
  HINTS,
  HINTS_AT,
  LAYOUT_VERSION,
  MESSAGE_BYTES,
  Msg,
  OpenedAt,
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
import { connectUnix, receiveWithFds, sendWithFds, unixPair } from "../sys/unix-socket.js";
import { type Mapped, mapFd, unmap } from "./test-mapping-fixture.js";
import { type OpenOptions, openRequest } from "./test-open-fixture.js";
import { TestSocket } from "./test-socket-fixture.js";

export interface ClientOptions {
  readonly program?: string;
  readonly address?: string;
  readonly profile?: string;
  /** A file of rules, for messages. */
  readonly rules?: string;
  /** Passed with HELLO; closed by the caller. */
  readonly rulesFd?: number;
  readonly rulesOfStarter?: boolean;
  /** A socket that leads to the engine already; taken. */
  readonly controlFd?: number;
  /** Lets the engine work; called while the client waits for an answer. */
  readonly run: () => void;
}

/** Answer of OPEN, ATTACH and REGION. */
export interface ClientOpened {
  readonly result: number;
  readonly reason: string;
  readonly companionFd: number;
}

/** Of a call. */
const ARGS = 7;
const END_CAPACITY = 2_000_000;

/** HELLO as the shim says it. */
export function helloMessage(options: Partial<ClientOptions>): Uint8Array {
  const hello = new Uint8Array(HELLO_BYTES);
  const view = new DataView(hello.buffer);
  view.setUint32(HelloAt.type, Msg.HELLO, true);
  view.setUint32(HelloAt.version, LAYOUT_VERSION, true);
  view.setUint32(HelloAt.flags, options.rulesOfStarter ? HelloFlag.RULES_OF_STARTER : 0, true);
  view.setInt32(HelloAt.pid, process.pid, true);
  view.setUint32(HelloAt.spinUs, SPIN_NOT_GIVEN, true);
  hello.set(Buffer.from(options.program ?? "test"), HelloAt.program);
  hello.set(Buffer.from(options.address ?? ""), HelloAt.address);
  hello.set(Buffer.from(options.profile ?? ""), HelloAt.profile);
  hello.set(Buffer.from(options.rules ?? ""), HelloAt.rules);
  return hello;
}

export class TestClient {
  readonly controlFd: number;
  readonly session: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly wakeFd: number;
  readonly sessionId: number;
  private readonly run: () => void;
  readonly regions = new Map<number, { mapped: Mapped; fd: number }>();
  private readonly mapped: Mapped;
  private readonly message = new Uint8Array(MESSAGE_BYTES);
  private readonly messageView = new DataView(this.message.buffer);
  private readonly fds: number[] = [];
  private hintHead = 0;
  private nextLocal = 0;

  constructor(path: string, options: ClientOptions) {
    this.run = options.run;
    this.controlFd = options.controlFd ?? connectUnix({ path });
    if (this.controlFd < 0) throw new Error(`connect: ${this.controlFd}`);
    const hello = helloMessage(options);
    this.ask(hello, options.rulesFd === undefined ? [] : [options.rulesFd]);
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

  /** Opens a socket; the kernel's side of it is left out. `endFd`: passed instead of the pair's end. */
  open(o: OpenOptions, endFd = -1): TestSocket {
    const local = this.nextLocal++;
    const [mine, theirs] = unixPair();
    const request = openRequest(o, local, mine);
    const companion = o.companionFd === undefined ? [] : [o.companionFd];
    try {
      const ends = [endFd < 0 ? theirs : endFd, ...companion];
      this.ask(request, o.nothingComes === undefined ? ends : []);
    } catch (error) {
      closeFd(mine);
      throw error;
    } finally {
      closeFd(theirs);
    }
    return this.opened(local, mine, o.family ?? Family.INET);
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

  /** Takes a connection out of a listener's ring, and says so to nobody. */
  takeWithoutClaim(listener: TestSocket): void {
    listener.setHead((listener.rxHead + ACCEPTED_BYTES) | 0);
  }

  // Submissions and calls

  submit(value: number): void {
    const tail = Atomics.add(this.session, SessionAt.submitTail >> 2, 1);
    const entry = (value + 1) | ((tail & SUBMITS) === 0 ? 0 : Submit.LAP);
    Atomics.store(this.session, (SUBMITS_AT >> 2) + (tail & (SUBMITS - 1)), entry);
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
    for (let i = 0; i < ARGS; i++) this.view.setInt32(at + CallAt.args + 4 * i, args[i] ?? 0, true);
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
