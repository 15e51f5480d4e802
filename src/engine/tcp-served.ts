/** A TCP socket of a program: connection, listener, or neither yet. */
import { copyInside } from "../base/copy.js";
import { EAGAIN, ENOTCONN, EPIPE } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import { needsZone } from "../ip/zone.js";
import { ACCEPTED_BYTES, AcceptedAt, Kind, SocketAt, Status } from "../ring/engine-layout.js";
import { MsgFlags } from "../socket/linux-options.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import { HandOver } from "../tcp/hand-over.js";
import { Readiness } from "../tcp/readiness.js";
import { isSynchronized, State } from "../tcp/state.js";
import { TcbFlags } from "../tcp/tcb.js";
import { EngineSocket } from "./engine-socket.js";
import type { Block, RegionPool } from "./region.js";
import type { Session } from "./session.js";
import { writeAddress } from "./shared-address.js";
import type { SocketHost } from "./socket-host.js";
import { TcpOffers } from "./tcp-offers.js";
import { TcpUrgent } from "./tcp-urgent.js";

/** What brings bytes, or their end; below SO_RCVLOWAT there may be bytes without any of it. */
const MOVES = Readiness.IN | Readiness.PRI | Readiness.RDHUP | Readiness.HUP | Readiness.ERR;
/** How long what a full ring holds up waits for its reader: as `HOLD_US` of udp-served.ts. */
const WAIT_US = 200;
/** For the names that are being published. */
const own = new IpAddress();
const peer = new IpAddress();

export class TcpServed extends EngineSocket {
  readonly socket: TcpSocket;
  private urgent: TcpUrgent;
  /** Of a listener. */
  private listening: TcpOffers | null = null;
  private sawEof = false;

  constructor(
    host: SocketHost,
    id: number,
    family: number,
    block: Block,
    pool: RegionPool,
    socket: TcpSocket,
  ) {
    super(host, id, Kind.TCP, family, block, pool);
    this.socket = socket;
    this.urgent = new TcpUrgent(socket);
    socket.owner = this;
  }

  /** Nothing waits in the ring for its receiver to make room. */
  private mustSend = false;

  override pumpAll(): number {
    this.mustSend = true;
    this.pumpOut();
    this.mustSend = false;
    return 1;
  }

  /** Hot path. */
  override pumpOut(): void {
    const used = this.txUsed();
    if (used === 0) return;
    if (used < 0 || this.kind === Kind.LISTENER) {
      this.fail();
      return;
    }
    this.isWaiting = false;
    let left = used;
    if (this.socket.isToHere) left = (left - this.hand(left)) | 0;
    if (this.isWaiting) this.host.retryLater(this);
    else if (left > 0) left = this.push(left);
    this.publishHead();
    if (left > 0) return;
    if (this.shutLater >= 0) this.shutNow();
    if (this.isDraining && !this.hasUnsent) this.close();
  }

  // The short way, from ring to ring

  /** Who serves the other end, when that was looked up last. */
  private far: TcpServed | null = null;
  /** What {@link hand} has left is to stay in the ring. */
  private isWaiting = false;
  /** Since when something has stayed there, and where its receiver's ring ended then. */
  private waitUs = 0;
  private waitAt = 0;

  /**
   * Hot path. Hands to a program of this engine what lies in the ring, without segments; how many bytes.
   * Measured: sockperf ping-pong, 64 bytes, half a round trip p50 2.71 µs without, 1.48 with; 128 KiB a write, 0.46 and 0.79
   * of the kernel's loopback, that with PIECE_BYTES of stream.c (2 idle cores, 2026-11).
   */
  private hand(used: number): number {
    const far = this.farEnd();
    if (far === null || this.word(SocketAt.more) !== 0) return 0;
    const found = this.socket.mayHandOver(far.socket);
    if (found !== HandOver.YES) {
      if (found === HandOver.SOON) this.isWaiting = this.mayWait(far);
      else this.far = null;
      return 0;
    }
    const n = far.takeDirect(this, used);
    if (n > 0) this.socket.handedOver(far.socket, n);
    if (n < used) this.isWaiting = this.mayWait(far);
    return n;
  }

  /** Hot path. The other end, if a program of this engine has it and reads. */
  private farEnd(): TcpServed | null {
    if (this.far === null || this.far.isClosed) {
      const owner = this.host.stack.farEnd(this.socket)?.owner ?? null;
      this.far = owner instanceof TcpServed ? owner : null;
    }
    const { far } = this;
    return far === null || far.isClosed || far.isDraining || far.urgent.isKnown ? null : far;
  }

  /** Hot path. Takes up to `n` bytes from the other end's ring, and tells the program; how many. */
  private takeDirect(sender: TcpServed, n: number): number {
    if (this.isInBlocked || (this.status & Status.CONNECTED) === 0) return 0;
    const half = this.block.rxBytes >> 1;
    let room = this.rxRoom(n < half ? n : half);
    if (room === 0 && !this.blockIn(1)) room = this.rxRoomNow();
    if (room <= 0) return 0; // below: nonsense, which the long way finds
    const taken = n < room ? n : room;
    const { bytes } = this.host.memory;
    let left = taken;
    while (left > 0) {
      const from = sender.txHead & sender.txMask;
      const to = this.rxTail & this.rxMask;
      const most = Math.min(sender.block.txBytes - from, this.block.rxBytes - to);
      const part = left < most ? left : most;
      copyInside(this.view, bytes, this.block.rxAt + to, sender.block.txAt + from, part);
      sender.txHead = (sender.txHead + part) | 0;
      this.rxTail = (this.rxTail + part) | 0;
      left = (left - part) | 0;
    }
    this.publishTail();
    this.tell();
    this.rxBytesTotal += taken;
    sender.txBytesTotal += taken;
    return taken;
  }

  /**
   * What the short way does not take now stays in the ring for {@link WAIT_US} at most: mostly the receiver is about to
   * read. After that it goes through the stack, whose buffers are as large as SO_SNDBUF and SO_RCVBUF say. Who
   * reads nothing is waited for once for each half ring that it was given.
   */
  private mayWait(far: TcpServed): boolean {
    if (this.mustSend || this.isDraining || this.shutLater >= 0) return false;
    const { nowUs } = this.host.stack;
    if (2 * ((far.rxTail - this.waitAt) >>> 0) >= far.block.rxBytes) {
      this.waitAt = far.rxTail;
      this.waitUs = nowUs;
    }
    return nowUs - this.waitUs < WAIT_US;
  }

  // The long way, through the stack

  /** Hot path. Moves bytes of the ring into the stack; how many are left. */
  private push(used: number): number {
    const { socket } = this;
    const { bytes } = this.host.memory;
    let result = 0;
    while (used > 0) {
      const start = this.txHead & this.txMask;
      const tillEnd = this.block.txBytes - start;
      const n = used < tillEnd ? used : tillEnd;
      const more = n < used || this.word(SocketAt.more) !== 0 ? MsgFlags.MORE : 0;
      result = socket.send(bytes, this.block.txAt + start, n, more);
      if (result <= 0) break;
      this.txHead = (this.txHead + result) | 0;
      this.txBytesTotal += result;
      used = (used - result) | 0;
      if (result < n) break;
    }
    if (result < 0 && result !== -EAGAIN) {
      this.txHead = (this.txHead + used) | 0; // it can never be sent
      used = 0;
      this.sendFailed(-result);
    }
    if (this.queuedAt < 0) this.host.watchQueued(this);
    return used;
  }

  private shutNow(): void {
    this.socket.shutdown(this.shutLater);
    this.shutLater = -1;
    this.refreshStatus();
  }

  private sendFailed(errno: number): void {
    const isEnd = this.socket.readiness() & Readiness.HUP;
    // After the end of sending the program knows by NO_SEND.
    if (isEnd === 0 || errno !== EPIPE) this.setError(errno);
    this.refreshStatus();
    this.tell();
  }

  /** Hot path. */
  override pumpIn(bits: number): void {
    if (this.isClosed) return;
    if (this.kind === Kind.LISTENER) {
      this.pumpAccepted();
      return;
    }
    if ((bits & Readiness.OUT) !== 0 && this.txUsed() !== 0) this.pumpOut();
    if (this.isClosed) return;
    if (this.isDraining) {
      // Nobody reads any more: what comes is reset (RFC 9293 §3.10.7.1), as is what cannot be sent.
      if (this.socket.readableBytes > 0) this.abort();
      else if ((bits & (Readiness.ERR | Readiness.HUP)) !== 0) this.close();
      return;
    }
    // While the ring was full nobody looked: the peer's end may have come meanwhile.
    if (this.isInBlocked) bits |= this.socket.readiness();
    this.isInBlocked = false;
    if ((bits & Readiness.PRI) !== 0) this.urgent.take();
    const mayMove = (bits & MOVES) !== 0 || this.wasMore || this.socket.readableBytes > 0;
    const moved = mayMove ? this.move(bits) : 0;
    if (moved < 0) return;
    const changed = this.publishMoved(moved, (bits & Readiness.ERR) !== 0);
    if (moved > 0 || changed || (bits & (Readiness.ERR | Readiness.PRI)) !== 0) this.tell();
    if (this.isLingering && this.isDelivered) this.host.lingered();
  }

  /**
   * Hot path. Shows what {@link move} has moved, then errors and the status; whether that has changed. What is to be
   * written is worked out before: who polls takes the line away after each word.
   */
  private publishMoved(moved: number, isError: boolean): boolean {
    const status = this.statusNow();
    if (moved > 0) this.publishTail();
    if (!isError) return this.putStatus(status);
    const errno = this.socket.takeError();
    if (errno !== 0) this.setError(errno);
    return this.refreshStatus();
  }

  /** Hot path. Moves bytes into the ring, not yet shown; how many, or below 0 when the socket broke. */
  private move(bits: number): number {
    const { socket } = this;
    const { bytes } = this.host.memory;
    let moved = 0;
    for (;;) {
      const room = this.rxRoom(this.block.rxBytes >> 1);
      if (room < 0) {
        this.fail();
        return -1;
      }
      if (room === 0) {
        if (!this.blockIn(1)) continue;
        break;
      }
      if (this.urgent.isThere && this.urgent.noteMark(this.rxTail)) {
        this.putWord(SocketAt.urgentAt, this.rxTail);
      }
      const start = this.rxTail & this.rxMask;
      const tillEnd = this.block.rxBytes - start;
      const n = room < tillEnd ? room : tillEnd;
      const got = socket.receive(bytes, this.block.rxAt + start, n, 0);
      if (got <= 0) {
        if (got === 0) this.sawEof = true;
        else if (got !== -EAGAIN && got !== -ENOTCONN) {
          if (moved > 0) this.publishTail();
          this.setError(-got);
        }
        break;
      }
      this.rxTail = (this.rxTail + got) | 0;
      this.rxBytesTotal += got;
      moved = (moved + got) | 0;
      if (got < n && !this.urgent.isThere && (bits & Readiness.RDHUP) === 0) break;
    }
    if (this.isInBlocked || this.wasMore) {
      if (moved > 0) this.publishTail(); // before what is behind it
      const more = socket.readableBytes;
      this.wasMore = more > 0;
      this.putWord(SocketAt.rxMore, more);
    }
    return moved;
  }

  private wasMore = false;

  /** MSG_OOB: the urgent byte, or a negated error number. */
  receiveUrgent(isPeek: boolean): number {
    const byte = this.urgent.receive(isPeek, this.word(SocketAt.rxHead));
    if (byte >= 0 && !isPeek && this.refreshStatus()) this.tell();
    return byte;
  }

  // Ending

  /** Directions to be shut down once the ring to the engine is empty; -1: none. */
  private shutLater = -1;
  private stateAtShutdown: number = State.FREE;

  /** A FIN that waits behind the ring counts as sent. */
  override get tcpState(): number {
    const { state } = this.socket;
    if (this.shutLater < 0) return state;
    if (state === State.ESTABLISHED) return State.FIN_WAIT_1;
    if (state !== State.CLOSE_WAIT) return state;
    return this.stateAtShutdown === State.CLOSE_WAIT ? State.LAST_ACK : State.CLOSING;
  }

  /** shutdown(2) with data in the ring still to be sent: the FIN goes behind them. */
  shutdownWhenSent(how: number): number {
    if (how === 2) this.socket.shutdown(0);
    if (this.shutLater < 0) this.stateAtShutdown = this.socket.state;
    this.shutLater = 1;
    return 0;
  }

  /**
   * connect(2) to AF_UNSPEC: the connection or the listening ends, and the socket is as new; 0 or -ENOBUFS.
   * What lies in the ring to the program the program throws away. `losesPort`: it was bound to a port that
   * nobody had asked for by number.
   */
  disconnect(losesPort: boolean): number {
    if (losesPort) this.socket.loosenPort();
    const pending = this.socket.takeError();
    if (pending !== 0) this.setError(pending);
    const result = this.socket.disconnect();
    if (result < 0) return result;
    if (this.kind === Kind.LISTENER) this.stopListening();
    const used = this.txUsed();
    if (used > 0) this.txHead = (this.txHead + used) | 0;
    this.publishHead();
    this.urgent = new TcpUrgent(this.socket);
    this.sawEof = false;
    this.shutLater = -1;
    this.isInBlocked = false;
    this.wasMore = false;
    this.putWord(SocketAt.rxMore, 0);
    this.putWord(SocketAt.txQueued, 0);
    // What ended it before, and nobody has asked for, stays, as in Linux.
    if (result > 0) this.setError(result);
    this.refresh();
    this.tell();
    return 0;
  }

  /** Where the stream to the program ends now. */
  get receivePosition(): number {
    return this.rxTail;
  }

  /** A close waits for what it has sent to be acknowledged (SO_LINGER). */
  isLingering = false;

  /** Everything was sent and acknowledged, FIN included, or never will be. */
  get isDelivered(): boolean {
    if (this.isClosed) return true;
    if (this.hasUnsent) return false;
    const { state } = this.socket;
    return (
      state === State.FIN_WAIT_2 ||
      state === State.TIME_WAIT ||
      state === State.CLOSED ||
      state === State.FREE
    );
  }

  /**
   * As tcp_close of Linux: with data that nobody will read any more, or SO_LINGER of 0, the peer gets
   * a reset at once, behind what the windows let go before.
   */
  override hangUp(): void {
    if (this.isDraining || this.isClosed) return;
    const isReset =
      this.isUnread || (this.socket.row >= 0 && this.socket.view().lingerSeconds === 0);
    if (this.kind !== Kind.LISTENER && isReset) {
      // What the program has sent before would be with the peer already.
      this.pumpAll();
      this.host.stack.flush();
      this.abort();
      return;
    }
    super.hangUp();
    if (!this.isClosed) this.host.watchDraining(this);
  }

  /** Whether there are bytes that the program has not read: in its ring, or in the stack. */
  private get isUnread(): boolean {
    return this.rxRoomNow() !== this.block.rxBytes || this.socket.readableBytes > 0;
  }

  // Listening

  protected override held(session: Session): void {
    if (this.listening !== null) this.addListener(session, this.listening);
  }

  private addListener(session: Session, offers: TcpOffers): void {
    session.listeners.add(this);
    offers.allow(session);
  }

  protected override dropped(session: Session): void {
    session.listeners.delete(this);
  }

  /** `listen` has worked: from now on the ring carries connections. */
  becomeListener(): void {
    this.kind = Kind.LISTENER;
    this.listening = new TcpOffers();
    for (const { session } of this.holders) this.addListener(session, this.listening);
    this.view.setUint16(this.block.at + SocketAt.kind, Kind.LISTENER, true);
    this.refresh();
  }

  /** `shutdown` has ended the listening. */
  stopListening(): void {
    this.kind = Kind.TCP;
    for (const { session } of this.holders) session.listeners.delete(this);
    this.dropOffers();
    this.listening = null;
    this.view.setUint16(this.block.at + SocketAt.kind, Kind.TCP, true);
    this.rxTail = this.word(SocketAt.rxHead);
    this.publishTail();
    this.refresh();
    this.tell(); // who sleeps in accept
  }

  /** Connections that nobody has accepted yet. */
  get waitingConnections(): number {
    return this.listening?.size ?? 0;
  }

  private pumpAccepted(): void {
    this.isInBlocked = false;
    let moved = 0;
    for (;;) {
      if ((this.socket.readiness() & Readiness.IN) === 0) break;
      const room = this.rxRoomNow();
      if (room < 0) {
        this.fail();
        return;
      }
      if (room < ACCEPTED_BYTES) {
        if (!this.blockIn(ACCEPTED_BYTES)) continue;
        break;
      }
      const connection = this.socket.accept();
      if (connection === null) break;
      const served = this.host.adopt(this, connection);
      if (served === null) {
        connection.abort();
        continue;
      }
      this.offer(served, connection);
      moved++;
    }
    if (moved === 0) return;
    this.publishTail();
    this.tell();
  }

  private offer(served: EngineSocket, connection: TcpSocket): void {
    const { view } = this;
    const at = this.block.rxAt + (this.rxTail & this.rxMask);
    const { block } = served;
    view.setUint32(at + AcceptedAt.connection, served.id, true);
    view.setUint32(at + AcceptedAt.regionId, block.region.id, true);
    view.setUint32(at + AcceptedAt.headerAt, block.headerAt, true);
    view.setUint32(at + AcceptedAt.generation, block.generation, true);
    const { remoteAddress, remotePort } = connection;
    const scope = needsZone(remoteAddress) ? connection.zone : 0;
    writeAddress(view, at + AcceptedAt.peer, this.family, remoteAddress, remotePort, scope);
    this.rxTail = (this.rxTail + ACCEPTED_BYTES) | 0;
    this.listening!.add(served, this.rxTail);
    this.host.offered();
  }

  /** Ends connections that were taken and never claimed. For housekeeping. */
  expireOffers(nowUs: number): void {
    this.listening?.expire(this.word(SocketAt.rxHead), nowUs);
  }

  private dropOffers(): void {
    this.listening?.drop(this.word(SocketAt.rxHead), (socket) => this.host.awaitClaim(socket));
  }

  // State

  private refreshStatus(): boolean {
    return this.putStatus(this.statusNow());
  }

  /** The state as it was published. */
  private shownState = -1;

  private putStatus(status: number): boolean {
    const changed = this.setStatus(status);
    const state = this.tcpState;
    // Afterwards: a state behind the peer's end is readable, and EOF says why.
    if (state !== this.shownState) this.putState(state);
    return changed;
  }

  private putState(state: number): void {
    this.shownState = state;
    this.putWord(SocketAt.tcpState, state);
  }

  private statusNow(): number {
    const { socket } = this;
    const state = socket.state;
    let status = 0;
    if (state === State.SYN_SENT || state === State.SYN_RECEIVED) status = Status.CONNECTING;
    else if (isSynchronized(state)) status = Status.CONNECTED;
    // The connection is over, and the program has yet to read what came before its end.
    else if (this.kind === Kind.TCP && socket.readableBytes > 0) {
      status = Status.CONNECTED | Status.NO_SEND;
    }
    if (this.sawEof) status |= Status.EOF;
    if (socket.row >= 0 && this.kind !== Kind.LISTENER) {
      const { flags } = socket.view();
      if ((flags & (TcbFlags.FIN_QUEUED | TcbFlags.DEAD)) !== 0) status |= Status.NO_SEND;
    }
    if (this.urgent.isKnown) status |= this.urgent.statusBits(this.word(SocketAt.rxHead));
    if (this.hasError) status |= Status.ERROR;
    return status;
  }

  /** In a prepared block: the program has been told that it is connecting. */
  beginPrepared(): void {
    this.status = Status.CONNECTING;
  }

  /** A new attempt to connect: an error before it is forgotten, as in Linux. */
  begin(): void {
    this.takeError();
    this.sawEof = false;
  }

  override refresh(): void {
    if (this.isClosed) return;
    const { socket } = this;
    const ports = socket.readEnds(own, peer);
    this.putNames(own, ports >>> 16, peer, ports & 0xffff, socket.zone);
    if (this.refreshStatus()) this.tell();
  }

  /** Publishes what the peer has not acknowledged; whether there is any. For housekeeping. */
  refreshQueued(): boolean {
    if (this.isClosed || this.kind === Kind.LISTENER || this.socket.row < 0) return false;
    const queued = Math.max(0, this.socket.view().sndQueuedBytes);
    this.putWord(SocketAt.txQueued, queued);
    this.putState(this.tcpState);
    return queued > 0;
  }

  protected override closeStack(): void {
    this.host.ready.remove(this.socket);
    this.dropOffers();
    // What the program has not read counts as unread (RFC 2525 §2.17), as in Linux.
    if (this.kind !== Kind.LISTENER && this.isUnread) this.socket.abort();
    else this.socket.close();
  }

  protected override abortStack(): void {
    this.host.ready.remove(this.socket);
    this.dropOffers();
    this.socket.abort();
  }
}
