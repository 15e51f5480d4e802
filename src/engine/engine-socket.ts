/**
 * A socket of a program: a polled socket of the stack, and the header and rings in shared memory
 * through which the program uses it. docs/engine-protocol.md says who writes what, in which order.
 *
 * The engine keeps its own copy of every position that it publishes; what the program publishes is
 * read once a pass and checked. A position that makes no sense breaks the socket ({@link fail}).
 *
 * | state    | meaning                                              | leaves it by                   |
 * |----------|------------------------------------------------------|--------------------------------|
 * | open     | some process has it                                  | hang-up of the program's end   |
 * | draining | nobody has it; what lies in its ring is sent          | the ring is empty, or an error |
 * | closed   | the stack has closed it; the block is free            |                                |
 */
import { EPROTO } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import type { Home } from "../ip/home.js";
import { needsZone } from "../ip/zone.js";
import { SocketAt, Status } from "../ring/engine-layout.js";
import type { PolledSocket } from "../socket/polled-socket.js";
import { throwAway } from "../sys/unix-socket.js";
import type { KernelValues } from "./kernel-values.js";
import type { Block, RegionPool } from "./region.js";
import type { Session } from "./session.js";
import { writeAddress } from "./shared-address.js";
import type { Holder, SocketHost } from "./socket-host.js";
import type { TcpOffers } from "./tcp-offers.js";

export abstract class EngineSocket {
  /** The engine's number: unique while it lives. */
  readonly id: number;
  /** `Kind`. */
  kind: number;
  /** `Family`. */
  readonly family: number;
  readonly block: Block;
  readonly regionPool: RegionPool;
  readonly holders: Holder[] = [];
  /** The engine's end of the pair whose other end programs hold, or -1; and that one's inode. */
  endFd = -1;
  endInode = 0;
  /** Of the listener in whose ring it waits, or from which it was taken and not yet claimed. */
  offers: TcpOffers | null = null;
  /** The kernel socket that hears the kernel's interfaces for it, or -1. */
  companionFd = -1;
  /** A kernel socket that only holds the port in the kernel, or -1. */
  holdFd = -1;
  /** What options read back as; null: as the engine has them. */
  kernelValues: KernelValues | null = null;
  /** The home of the program that made it. */
  home: Home | null = null;
  /** Inode of the kernel socket that it replaced, or 0. */
  inode = 0;
  /** Why it is accelerated, for `millrace stat`. */
  reason = "";
  uid = 0;
  isDraining = false;
  isClosed = false;
  /** In the list of those to be tried again. */
  isRetrying = false;
  /** Where it is in the list of those whose `tx_queued` is kept up; -1: not in it. */
  queuedAt = -1;
  // Counted for `millrace stat`.
  rxBytesTotal = 0;
  txBytesTotal = 0;
  /** `Status` as it was published. */
  protected status = 0;
  protected rxTail = 0;
  protected txHead = 0;
  protected readonly host: SocketHost;
  protected readonly words: Int32Array;
  protected readonly view: DataView;
  /** Word index of the header. */
  protected readonly base: number;
  protected readonly rxMask: number;
  protected readonly txMask: number;
  private rxEvents = 0;
  private txEvents = 0;
  private names = 0;

  constructor(
    host: SocketHost,
    id: number,
    kind: number,
    family: number,
    block: Block,
    pool: RegionPool,
  ) {
    this.host = host;
    this.id = id;
    this.kind = kind;
    this.family = family;
    this.block = block;
    this.regionPool = pool;
    this.words = host.memory.words;
    this.view = host.memory.view;
    this.base = block.at >> 2;
    this.rxMask = block.rxBytes - 1;
    this.txMask = block.txBytes - 1;
  }

  /** The stack's side. */
  abstract readonly socket: PolledSocket;

  /** What the program is told of a connection's state (`State`). */
  get tcpState(): number {
    return 0;
  }

  /** Hot path. Moves what lies in the program's ring into the stack, as far as that takes it. */
  abstract pumpOut(): void;
  /**
   * The same before a call that may change where it goes: all of it, unless the stack has no room. How many
   * times as much work as {@link pumpOut} it was.
   */
  pumpAll(): number {
    this.pumpOut();
    return 1;
  }
  /** Hot path. Moves from the stack into the ring to the program. `bits`: `Readiness`. */
  abstract pumpIn(bits: number): void;
  /** Publishes names, state and so on after a call that may have changed them. */
  abstract refresh(): void;
  /** Ends the stack's side as close(2) would: nobody has the socket any more. */
  protected abstract closeStack(): void;

  /** Hot path. The program submitted the socket. */
  submitted(): void {
    Atomics.store(this.words, this.base + (SocketAt.submitted >> 2), 0);
    if (this.isClosed) return;
    this.pumpOut();
    if (this.isInBlocked) this.pumpIn(0);
  }

  /** The ring to the program was found full, and not pumped since. */
  isInBlocked = false;

  /** How far the program had read when that was looked at last. */
  private rxHeadSeen = 0;

  /**
   * Hot path. Room in the ring to the program, or less, as long as it is `needed` bytes; below 0 when the program's
   * position makes no sense. That lies in a line of the program's, which would have to come from its core each time.
   * Measured: sockperf throughput, 1,472 bytes, 601 and 697 thousand messages a second without, 1,199 and 1,389 with this,
   * `mr_sock_sending`, one line for what a program says with a submission, and LINGER_NS of wait.c (rounds of 1 s in
   * turn, processors that share no cache, 2026-11); TCP, a hop 1.97 and 1.92 µs (medians of four in turn, these alone).
   */
  protected rxRoom(needed: number): number {
    const used = (this.rxTail - this.rxHeadSeen) | 0;
    const room = (this.block.rxBytes - used) | 0;
    return used >= 0 && room >= needed ? room : this.rxRoomNow();
  }

  /** The same by where the program is now. */
  protected rxRoomNow(): number {
    const head = Atomics.load(this.words, this.base + (SocketAt.rxHead >> 2));
    const used = (this.rxTail - head) | 0;
    if (used < 0 || used > this.block.rxBytes) return -1;
    this.rxHeadSeen = head;
    return (this.block.rxBytes - used) | 0;
  }

  /** Hot path. Bytes in the ring to the engine; below 0 when the position makes no sense. */
  protected txUsed(): number {
    const tail = Atomics.load(this.words, this.base + (SocketAt.txTail >> 2));
    const used = (tail - this.txHead) | 0;
    return used > this.block.txBytes ? -1 : used;
  }

  /**
   * The ring has less than `needed` bytes of room: asks the program to submit the socket when it has
   * read. False when it has read meanwhile.
   */
  protected blockIn(needed: number): boolean {
    Atomics.store(this.words, this.base + (SocketAt.rxBlocked >> 2), 1);
    const room = this.rxRoomNow();
    if (room >= needed) return false;
    this.isInBlocked = true;
    return true;
  }

  /** Hot path. Publishes what {@link pumpIn} has put into the ring. */
  publishTail(): void {
    Atomics.store(this.words, this.base + (SocketAt.rxTail >> 2), this.rxTail);
  }

  /** Hot path. Publishes what {@link pumpOut} has taken, and tells who waits for room. */
  protected publishHead(): void {
    const { words, base } = this;
    Atomics.store(words, base + (SocketAt.txHead >> 2), this.txHead);
    if (Atomics.load(words, base + (SocketAt.noSpace >> 2)) !== 0) this.tellSpace();
  }

  private tellSpace(): void {
    const used = this.txUsed();
    if (used < 0 || 3 * (this.block.txBytes - used) < this.block.txBytes) return;
    const { words, base } = this;
    if (Atomics.exchange(words, base + (SocketAt.noSpace >> 2), 0) === 0) return;
    this.txEvents = (this.txEvents + 1) | 0;
    Atomics.store(words, base + (SocketAt.txEvents >> 2), this.txEvents);
    this.ring();
  }

  /** Hot path. There is something new to be told by IN, PRI or HUP. */
  tell(): void {
    this.rxEvents = (this.rxEvents + 1) | 0;
    Atomics.store(this.words, this.base + (SocketAt.rxEvents >> 2), this.rxEvents);
    this.ring();
  }

  /** Hot path. */
  private ring(): void {
    const { holders } = this;
    for (let i = 0; i < holders.length; i++) {
      const holder = holders[i]!;
      holder.session.ring(holder.local);
    }
  }

  /** Hot path. Publishes the status; whether it differs from the last one. */
  protected setStatus(status: number): boolean {
    if (status === this.status) return false;
    this.status = status;
    Atomics.store(this.words, this.base + (SocketAt.status >> 2), status);
    return true;
  }

  protected putWord(at: number, value: number): void {
    this.words[this.base + (at >> 2)] = value;
  }

  /** A word of the header that the program writes. */
  word(at: number): number {
    return this.words[this.base + (at >> 2)]!;
  }

  /** Publishes a pending error (positive), to be taken by the program. */
  setError(errno: number): void {
    Atomics.store(this.words, this.base + (SocketAt.error >> 2), errno);
  }

  /** Takes the published error back: for SO_ERROR by a call. */
  takeError(): number {
    return Atomics.exchange(this.words, this.base + (SocketAt.error >> 2), 0);
  }

  /** Whether the program has not yet taken the published error. */
  protected get hasError(): boolean {
    return this.words[this.base + (SocketAt.error >> 2)] !== 0;
  }

  /** Publishes getsockname and getpeername. */
  protected putNames(
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
    scope: number,
  ): void {
    const { at } = this.block;
    const i = this.base + (SocketAt.names >> 2);
    this.names = (this.names + 1) | 0;
    Atomics.store(this.words, i, this.names);
    writeAddress(
      this.view,
      at + SocketAt.local,
      this.family,
      local,
      localPort,
      scopeOf(local, scope),
    );
    const family = remotePort === 0 ? 0 : this.family;
    const of = scopeOf(remote, scope);
    writeAddress(this.view, at + SocketAt.remote, family, remote, remotePort, of);
    this.names = (this.names + 1) | 0;
    Atomics.store(this.words, i, this.names);
  }

  // Options that only the program's side acts on

  private kept: Map<number, Uint8Array> | null = null;

  /** Remembers an option's value as it was given. */
  keepBytes(option: number, v: { view: DataView; at: number; bytes: number }): void {
    this.kept ??= new Map();
    const { buffer, byteOffset } = v.view;
    this.kept.set(option, new Uint8Array(buffer, byteOffset + v.at, v.bytes).slice());
  }

  /** Writes what {@link keepBytes} remembered, or `bytes` zeros; how many were wanted. */
  recallBytes(option: number, bytes: number, room: number, out: DataView, at: number): number {
    const value = this.kept?.get(option);
    const n = Math.min(room, bytes);
    for (let i = 0; i < n; i++) out.setUint8(at + i, value?.[i] ?? 0);
    return n;
  }

  // Who has it

  addHolder(holder: Holder): void {
    this.holders.push(holder);
    holder.session.setSocket(holder.local, this);
    this.held(holder.session);
  }

  /** A session has it now. */
  protected held(_session: Session): void {}
  /** A session has it no more. */
  protected dropped(_session: Session): void {}

  removeHolder(session: Session, local: number): void {
    const { holders } = this;
    let isDropped = true;
    let found = -1;
    for (let i = 0; i < holders.length; i++) {
      const h = holders[i]!;
      if (h.session !== session) continue;
      if (found < 0 && h.local === local) found = i;
      else isDropped = false;
    }
    if (found === holders.length - 1 && found >= 0) holders.pop();
    else if (found >= 0) holders.splice(found, 1);
    if (session.socketAt(local) === this) session.setSocket(local, null);
    if (isDropped) this.dropped(session);
  }

  /** Whether a session has it. */
  get isHeld(): boolean {
    return this.holders.length > 0;
  }

  /** Whether this session has it, and no other. */
  isOnlyOf(session: Session): boolean {
    return this.isHeld && this.holders.every((h) => h.session === session);
  }

  /** A session has ended. */
  removeSession(session: Session): void {
    for (const h of [...this.holders]) {
      if (h.session === session) this.removeHolder(session, h.local);
    }
    // It may have died between saying that the socket is submitted and submitting it.
    if (this.isHeld) this.submitted();
  }

  /** Nobody holds the program's end any more: sends what lies in the ring, then closes. */
  hangUp(): void {
    if (this.isDraining || this.isClosed) return;
    this.isDraining = true;
    this.pumpOut();
    if (!this.isClosed && !this.hasUnsent) this.close();
  }

  /** Whether the ring to the engine holds something that is still to be sent. */
  get hasUnsent(): boolean {
    return this.txUsed() > 0;
  }

  /** How far the ring to the engine was taken: grows while a socket that drains makes progress. */
  get sentPosition(): number {
    return this.txHead;
  }

  /** Bytes in the ring to the engine, for people. */
  get unsentBytes(): number {
    return Math.max(0, this.txUsed());
  }

  /** Bytes in the ring to the program, for people. */
  get ringBytes(): number {
    const room = this.rxRoomNow();
    return room < 0 ? 0 : this.block.rxBytes - room;
  }

  /** Closes for good: the stack's side, the descriptors, the block. */
  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.closeStack();
    this.release();
  }

  /** The program broke the protocol: it gets EPROTO, the peer a reset. */
  fail(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.setError(EPROTO);
    this.abortStack();
    this.release();
  }

  /** Ends it with a reset at the peer: nobody ever had it, or a user wants it gone. */
  abort(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.abortStack();
    this.release();
  }

  protected abstract abortStack(): void;

  /** Undoes an opening that failed: no peer knows of it. */
  discard(): void {
    this.isClosed = true;
    this.socket.close();
    this.regionPool.give(this.block);
  }

  private release(): void {
    this.setStatus(this.status | Status.GONE | Status.EOF | Status.NO_SEND);
    this.tell();
    const { holders } = this;
    while (holders.length > 0) {
      const { session, local } = holders[holders.length - 1]!;
      this.removeHolder(session, local);
    }
    this.offers?.forget(this);
    this.host.forget(this);
    if (this.companionFd >= 0) throwAway(this.companionFd);
    this.companionFd = -1;
    if (this.holdFd >= 0) throwAway(this.holdFd);
    this.holdFd = -1;
    this.regionPool.give(this.block);
  }
}

/** The interface that a name shows: the socket's, where the address needs one. */
const scopeOf = (address: IpAddress, scope: number): number => (needsZone(address) ? scope : 0);
