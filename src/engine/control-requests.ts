/**
 * What a process that has a session asks of the engine by the control socket: sockets that it opens,
 * accepts and inherits, waiters, regions. False from a request ends the session.
 */
import { fstatSync } from "node:fs";
import { EINVAL, EMFILE, ENOENT, ENOTSOCK } from "../base/errno.js";
import {
  ACCEPTED_AS_BYTES,
  AcceptedAsAt,
  ATTACH_BYTES,
  AttachAt,
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
import { isEvent, lowerFd } from "../sys/fd.js";
import { SocketKind, sendWithFds, socketKind, throwAway } from "../sys/unix-socket.js";
import type { DescriptorRoom } from "./descriptor-room.js";
import type { EngineSocket } from "./engine-socket.js";
import { Companion, isEntry, type OpenRequest, opened, readOpen } from "./message.js";
import type { OpenResult } from "./opening.js";
import type { Region } from "./region.js";
import type { Session } from "./session.js";

/** What requests need of the engine. */
export interface RequestHost {
  open(session: Session, view: DataView, n: number, companionFd: number): OpenResult | null;
  socketByEnd(inode: number): EngineSocket | null;
  claim(session: Session, connection: number): EngineSocket | null;
  /** Gives a socket the engine's end of its pair. */
  setEnd(socket: EngineSocket, endFd: number, endInode: number): void;
  kernelSocket(session: Session, view: DataView, n: number): void;
  /** The region, if the session may have it. */
  regionFor(session: Session, id: number): Region | null;
  /** The result for a socket for which there is no room. */
  refuse(session: Session, request: OpenRequest, reason: string): OpenResult;
  /** Closes sockets that nobody holds any more; whether there were any. */
  makeRoom(): boolean;
  /** A descriptor had no place. */
  noDescriptors(): void;
}

/** A message as it was received. */
export interface Received {
  readonly view: DataView;
  /** What came along; what is left in it is closed afterwards. */
  readonly fds: number[];
  /** Some did not come: the engine may have no more. */
  areLost: boolean;
}

/** An end and a companion. */
const OPEN_FDS = 2;
const NO_DESCRIPTORS = "the engine has no descriptors left (ulimit -n)";

export class ControlRequests {
  private readonly host: RequestHost;
  private readonly room: DescriptorRoom;
  private readonly view: DataView;
  private readonly fds: number[];
  private readonly received: Received;

  constructor(host: RequestHost, room: DescriptorRoom, received: Received) {
    this.host = host;
    this.room = room;
    this.received = received;
    this.view = received.view;
    this.fds = received.fds;
  }

  /** Whether the message, `n` bytes long, was one. */
  handle(session: Session, type: number, n: number): boolean {
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

  private open(session: Session, n: number): boolean {
    if (this.received.areLost) return this.refuseOpen(session, n);
    let [endFd, companionFd = -1] = this.fds;
    const isAsked = n >= OPEN_BYTES && asksOnly(this.view);
    if (!isAsked && (endFd === undefined || !isEnd(endFd))) return false;
    if (companionFd >= 0 && !isCompanion(companionFd)) return false;
    if (!isAsked && !this.findRoom()) return this.refuseOpen(session, n);
    [endFd, companionFd = -1] = this.fds;
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

  /** Whether what came with a message may stay, perhaps under lower numbers. */
  private findRoom(): boolean {
    const { fds } = this;
    for (let i = 0; i < OPEN_FDS && i < fds.length; i++) {
      while (!this.room.forSocket(fds[i]!)) {
        if (!this.host.makeRoom()) return false;
        fds[i] = lowerFd(fds[i]!);
      }
    }
    return true;
  }

  /** The socket stays with the kernel. */
  private refuseOpen(session: Session, n: number): boolean {
    const request = readOpen(this.view, n);
    if (request === null || !isEntry(request.local)) return false;
    this.host.noDescriptors();
    const result = this.host.refuse(session, request, NO_DESCRIPTORS);
    return this.answer(session.controlFd, openedAs(Msg.OPEN, result, []), []);
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
    const { areLost } = this.received;
    if (n < ACCEPTED_AS_BYTES) return false;
    if (!areLost && (endFd === undefined || !isEnd(endFd))) return false;
    const { view } = this;
    const local = view.getUint32(AcceptedAsAt.local, true);
    if (!isEntry(local)) return false;
    const served = this.host.claim(session, view.getUint32(AcceptedAsAt.connection, true));
    if (served === null) return true;
    if (endFd === undefined || areLost) {
      this.host.noDescriptors();
      served.abort();
      return true;
    }
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
    if (n < ATTACH_BYTES) return false;
    const local = this.view.getUint32(AttachAt.local, true);
    if (!isEntry(local)) return false;
    const { controlFd } = session;
    if (this.received.areLost) {
      this.host.noDescriptors();
      return this.answer(controlFd, refusal(Msg.ATTACH, local, -EMFILE), []);
    }
    if (programsEnd === undefined) return false;
    // A socket indeed: a file system of the program's own may have any inode, and may not answer.
    const isSocket = isEnd(programsEnd);
    const served = isSocket ? this.host.socketByEnd(fstatSync(programsEnd).ino) : null;
    if (served === null || served.isClosed) {
      const errno = isSocket ? -ENOENT : -ENOTSOCK;
      return this.answer(controlFd, refusal(Msg.ATTACH, local, errno), []);
    }
    this.hold(session, served, local, this.view.getInt32(AttachAt.fd, true));
    // At once: while we have it, too, its end is not seen. It may be the last, with whatever waits in it.
    this.fds.shift();
    throwAway(programsEnd);
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
}

/** Whether no socket is to come of it: who tries options has no pair yet, who has no descriptors left none at all. */
const asksOnly = (view: DataView): boolean =>
  view.getUint32(OpenAt.at, true) === OpenedFor.TRY ||
  view.getUint32(OpenAt.hasCompanion, true) === Companion.NOTHING_COMES;

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
