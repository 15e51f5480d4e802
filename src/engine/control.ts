/**
 * The control socket: who connects, and what they ask. Requests of a process come one at a time; a
 * process that breaks the protocol loses its session, and nobody else is affected.
 */
import { fstatSync } from "node:fs";
import { EAGAIN, EINVAL, ENOENT, ENOTSOCK, EPROTO } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import {
  ACCEPTED_AS_BYTES,
  AcceptedAsAt,
  ATTACH_BYTES,
  AttachAt,
  LAYOUT_VERSION,
  MESSAGE_BYTES,
  Msg,
  OPEN_BYTES,
  OpenAt,
  OpenedFor,
  REGION_WANTED_BYTES,
  RegionWantedAt,
  WAITER_FD_BYTES,
  WAITERS,
  WaiterFdAt,
} from "../ring/engine-layout.js";
import { closeFd, isEvent } from "../sys/fd.js";
import { PollSet } from "../sys/poll-set.js";
import {
  acceptUnix,
  discardUnix,
  peerOf,
  receiveWithFds,
  SocketKind,
  sendWithFds,
  socketKind,
  throwAway,
} from "../sys/unix-socket.js";
import type { EngineSocket } from "./engine-socket.js";
import { Companion, type Hello, isEntry, opened, readHello, welcome } from "./message.js";
import type { OpenResult } from "./opening.js";
import type { Region } from "./region.js";
import type { Session } from "./session.js";
import type { SocketEnds } from "./socket-ends.js";

/** What the control socket needs of the engine. */
export interface ControlHost {
  readonly uid: number;
  /** A new session. Throws `NetError`. */
  begin(hello: Hello, pid: number, controlFd: number): Session;
  end(session: Session): void;
  open(session: Session, view: DataView, n: number, companionFd: number): OpenResult | null;
  socketByEnd(inode: number): EngineSocket | null;
  claim(session: Session, connection: number): EngineSocket | null;
  /** Gives a socket the engine's end of its pair. */
  setEnd(socket: EngineSocket, endFd: number, endInode: number): void;
  kernelSocket(session: Session, view: DataView, n: number): void;
  /** The region, if the session may have it. */
  regionFor(session: Session, id: number): Region | null;
}

const EVENTS = 64;
/** Messages of one process before others have their turn. */
const BURST = 16;
/** Connections that have not said HELLO: beyond that the oldest is dropped. */
const MAX_STRANGERS = 64;

export class Control {
  private readonly host: ControlHost;
  private readonly listenFd: number;
  private readonly loopFd: number;
  /** Listener, control sockets, the sockets' ends, and Node's event loop. */
  private readonly set = new PollSet();
  private readonly ends: SocketEnds;
  /** Null: has not said HELLO. */
  private readonly sessions = new Map<number, Session | null>();
  private readonly events = new Int32Array(2 * EVENTS);
  private readonly message = new Uint8Array(MESSAGE_BYTES);
  private readonly view = new DataView(this.message.buffer);
  private readonly fds: number[] = [];

  /** Takes the listening descriptor. */
  constructor(host: ControlHost, ends: SocketEnds, listenFd: number, loopFd: number) {
    this.host = host;
    this.ends = ends;
    this.listenFd = listenFd;
    this.loopFd = loopFd;
    this.set.add(listenFd);
    this.set.add(this.ends.fd);
    if (loopFd >= 0) this.set.add(loopFd);
  }

  /** Readable when {@link service} has something to do. */
  get wakeFd(): number {
    return this.set.fd;
  }

  /** Does what is there to do; whether Node's event loop wants to run. */
  service(): boolean {
    let wantsLoop = false;
    let hasHangUps = false;
    const n = this.set.take(this.events, EVENTS);
    for (let i = 0; i < n; i++) {
      const fd = this.events[2 * i]!;
      if (fd === this.loopFd) wantsLoop = true;
      else if (fd === this.ends.fd) hasHangUps = true;
      else if (fd === this.listenFd) this.accept();
      else this.serve(fd);
    }
    // After the messages: who closes a listener has said before what it accepted.
    if (hasHangUps) this.ends.service();
    return wantsLoop;
  }

  private accept(): void {
    for (let i = 0; i < BURST; i++) {
      const fd = acceptUnix(this.listenFd);
      if (fd < 0) return;
      const peer = peerOf(fd);
      if (peer.uid !== this.host.uid) {
        closeFd(fd);
        continue;
      }
      if (this.strangers >= MAX_STRANGERS) this.dropOldestStranger();
      this.sessions.set(fd, null);
      this.strangers++;
      this.set.add(fd);
    }
  }

  private strangers = 0;

  private dropOldestStranger(): void {
    for (const [fd, session] of this.sessions) {
      if (session !== null) continue;
      this.drop(fd);
      return;
    }
  }

  /** Takes a process's messages now, unless it is gone. */
  serveSession(session: Session): void {
    if (this.sessions.get(session.controlFd) === session) this.serve(session.controlFd);
  }

  /** Takes messages of one process. */
  private serve(fd: number): void {
    for (let i = 0; i < BURST && this.sessions.has(fd); i++) {
      const n = receiveWithFds(fd, this.message, this.fds);
      if (n === -EAGAIN) return;
      const isFine = n >= 4 && this.tryHandle(fd, n);
      for (const left of this.fds) throwAway(left);
      this.fds.length = 0;
      if (!isFine) this.drop(fd);
    }
  }

  /** What the system refuses for one process ends that one's session. */
  private tryHandle(fd: number, n: number): boolean {
    try {
      return this.handle(fd, n);
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      return false;
    }
  }

  /** The process is gone, or must go. */
  private drop(fd: number): void {
    const session = this.sessions.get(fd);
    if (session === undefined) return;
    this.sessions.delete(fd);
    this.set.remove(fd);
    if (session !== null) this.host.end(session);
    else this.strangers--;
    discardUnix(fd);
  }

  /** Whether the message was one. Descriptors that stay in `fds` are closed afterwards. */
  private handle(fd: number, n: number): boolean {
    const type = this.view.getUint32(0, true);
    const session = this.sessions.get(fd) ?? null;
    if (session === null) return type === Msg.HELLO && this.hello(fd, n);
    switch (type) {
      case Msg.OPEN:
        return this.open(session, n);
      case Msg.ACCEPTED:
        return this.accepted(session, n);
      case Msg.ATTACH:
        return this.attach(session, n);
      case Msg.WAITER:
        return this.waiter(session, n);
      case Msg.REGION:
        return this.region(session, n);
      case Msg.KERNEL:
        this.host.kernelSocket(session, this.view, n);
        return true;
      default:
        return false;
    }
  }

  private hello(fd: number, n: number): boolean {
    const hello = readHello(this.view, n);
    if (hello === null) return false;
    if (hello.version !== LAYOUT_VERSION) {
      const reason = `the engine speaks version ${LAYOUT_VERSION}, the program ${hello.version}`;
      return this.answer(fd, welcome(Msg.HELLO, -EPROTO, 0, reason), []) && false;
    }
    let session: Session;
    try {
      session = this.host.begin(hello, peerOf(fd).pid, fd);
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      this.answer(fd, welcome(Msg.HELLO, error.errno, 0, error.message), []);
      return false;
    }
    this.sessions.set(fd, session);
    this.strangers--;
    const fds = [session.part.fd, session.wakeFd];
    return this.answer(fd, welcome(Msg.HELLO, 0, session.id, ""), fds);
  }

  private open(session: Session, n: number): boolean {
    const [endFd, companionFd = -1] = this.fds;
    // Who only tries options has no pair yet.
    const isTry = n >= OPEN_BYTES && this.view.getUint32(OpenAt.at, true) === OpenedFor.TRY;
    if (!isTry && (endFd === undefined || !isEnd(endFd))) return false;
    if (companionFd >= 0 && !isCompanion(companionFd)) return false;
    const result = this.host.open(session, this.view, n, companionFd);
    if (result === null) return false;
    const { served, request } = result;
    if (served === null || endFd === undefined) {
      return this.answer(session.controlFd, openedAs(Msg.OPEN, result, []), []);
    }
    this.fds.splice(0, request.companion === Companion.NONE ? 1 : 2); // they are the socket's now
    this.host.setEnd(served, endFd, request.endInode);
    const passed = this.regionFds(session, served);
    return this.answer(session.controlFd, openedAs(Msg.OPEN, result, passed), passed);
  }

  /** The descriptor of the socket's region unless the session has it. */
  private regionFds(session: Session, served: EngineSocket): number[] {
    const { region } = served.block;
    if (region.known.has(session)) return [];
    region.known.add(session);
    return [region.part.fd];
  }

  private accepted(session: Session, n: number): boolean {
    const endFd = this.fds[0];
    if (n < ACCEPTED_AS_BYTES || endFd === undefined || !isEnd(endFd)) return false;
    const { view } = this;
    const local = view.getUint32(AcceptedAsAt.local, true);
    if (!isEntry(local)) return false;
    const served = this.host.claim(session, view.getUint32(AcceptedAsAt.connection, true));
    if (served === null) return true;
    this.fds.splice(0, 1);
    const endInode = Number(view.getBigUint64(AcceptedAsAt.endInode, true));
    this.host.setEnd(served, endFd, endInode);
    this.hold(session, served, local, view.getInt32(AcceptedAsAt.fd, true));
    return true;
  }

  /** The session has the socket under this number; what had it before is not there any more. */
  hold(session: Session, served: EngineSocket, local: number, fd: number): void {
    session.socketAt(local)?.removeHolder(session, local);
    served.addHolder({ session, local, fd });
    // The process may have used the socket before we heard of it, and wait by now for what came.
    served.submitted();
    session.ring(local);
  }

  private attach(session: Session, n: number): boolean {
    const programsEnd = this.fds[0];
    if (n < ATTACH_BYTES || programsEnd === undefined) return false;
    const local = this.view.getUint32(AttachAt.local, true);
    if (!isEntry(local)) return false;
    const { controlFd } = session;
    // A socket indeed: a file system of the program's own may have any inode, and may not answer.
    const isSocket = isEnd(programsEnd);
    const served = isSocket ? this.host.socketByEnd(fstatSync(programsEnd).ino) : null;
    if (served === null || served.isClosed) {
      const errno = isSocket ? -ENOENT : -ENOTSOCK;
      return this.answer(controlFd, refusal(Msg.ATTACH, local, errno), []);
    }
    this.hold(session, served, local, this.view.getInt32(AttachAt.fd, true));
    // At once: while we have it, too, its end is not seen.
    this.fds.shift();
    closeFd(programsEnd);
    const companion = served.companionFd >= 0 ? [served.companionFd] : [];
    const passed = [...companion, ...this.regionFds(session, served)];
    const { block } = served;
    const message = opened({
      type: Msg.ATTACH,
      result: 0,
      local,
      regionId: block.region.id,
      regionBytes: block.region.part.bytes,
      headerAt: block.headerAt,
      generation: block.generation,
      hasRegion: passed.length > companion.length,
      hasCompanion: companion.length > 0,
      reason: served.reason,
    });
    return this.answer(controlFd, message, passed);
  }

  private waiter(session: Session, n: number): boolean {
    const fd = this.fds[0];
    if (n < WAITER_FD_BYTES || fd === undefined || !isEvent(fd)) return false;
    const number = this.view.getUint32(WaiterFdAt.waiter, true);
    if (number >= WAITERS) return false;
    this.fds.splice(0, 1);
    session.setWaiter(number, fd);
    return true;
  }

  private region(session: Session, n: number): boolean {
    if (n < REGION_WANTED_BYTES) return false;
    const id = this.view.getUint32(RegionWantedAt.regionId, true);
    const found = this.host.regionFor(session, id);
    if (found === null) {
      return this.answer(session.controlFd, refusal(Msg.REGION, 0, -EINVAL), []);
    }
    found.known.add(session);
    const message = opened({
      type: Msg.REGION,
      result: 0,
      local: 0,
      regionId: id,
      regionBytes: found.part.bytes,
      headerAt: 0,
      generation: 0,
      hasRegion: true,
      hasCompanion: false,
      reason: "",
    });
    return this.answer(session.controlFd, message, [found.part.fd]);
  }

  private answer(fd: number, message: Uint8Array, fds: readonly number[]): boolean {
    return sendWithFds(fd, message, fds) >= 0;
  }

  close(): void {
    for (const fd of [...this.sessions.keys()]) this.drop(fd);
    this.set.close();
    closeFd(this.listenFd);
  }
}

/** Whether a descriptor can be an end of a socket's pair. */
const isEnd = (fd: number): boolean => socketKind(fd) === SocketKind.UNIX_MESSAGES;

/** Whether a descriptor can be the kernel socket beside an accelerated one. */
function isCompanion(fd: number): boolean {
  const kind = socketKind(fd);
  return (
    kind === SocketKind.STREAM4 ||
    kind === SocketKind.DATAGRAM4 ||
    kind === SocketKind.STREAM6 ||
    kind === SocketKind.DATAGRAM6
  );
}

function openedAs(type: number, result: OpenResult, passed: readonly number[]): Uint8Array {
  const { served, request, code, reason } = result;
  return opened({
    type,
    result: code,
    local: request.local,
    regionId: served?.block.region.id ?? 0,
    regionBytes: served?.block.region.part.bytes ?? 0,
    headerAt: served?.block.headerAt ?? 0,
    generation: served?.block.generation ?? 0,
    hasRegion: passed.length > 0,
    hasCompanion: false,
    reason,
  });
}

const refusal = (type: number, local: number, result: number): Uint8Array =>
  opened({
    type,
    result,
    local,
    regionId: 0,
    regionBytes: 0,
    headerAt: 0,
    generation: 0,
    hasRegion: false,
    hasCompanion: false,
    reason: "no socket of this engine",
  });
