/** Calls of programs (`mr_call`): what is rare on a socket, by number. */
import { copyWords } from "../base/copy.js";
import { EAGAIN, EBADF, EINVAL, EMSGSIZE, EOPNOTSUPP } from "../base/errno.js";
import { IpAddress } from "../base/ip-address.js";
import { NEVER } from "../base/time.js";
import { ErrorEntry } from "../ip/error-queue.js";
import {
  CALL_DATA_BYTES,
  CallAt,
  ERROR_BYTES,
  ErrorAt,
  INTERFACE_BYTES,
  Kind,
  Op,
  OpenedFor,
  SocketAt,
} from "../ring/engine-layout.js";
import { Family, MsgFlags } from "../socket/linux-options.js";
import { State } from "../tcp/state.js";
import { decide } from "./decision.js";
import type { EngineSocket } from "./engine-socket.js";
import { ioctl } from "./interface-ioctls.js";
import { listInterfaces } from "./interface-list.js";
import type { Network } from "./network.js";
import { getOption, setOption } from "./options.js";
import type { ParkedEnds } from "./parked-ends.js";
import type { Session } from "./session.js";
import { clearAddress, SharedAddress, writeAddress } from "./shared-address.js";
import type { SharedMemory } from "./shared-memory.js";
import { TcpServed } from "./tcp-served.js";
import { UdpServed } from "./udp-served.js";

/** The call goes on: {@link Calls.finish} ends it. */
const LATER = 0x7fff_ffff;
/** `MR_ROUTE_BY_PORT` of layout.h. */
const ROUTE_BY_PORT = 2;
const US_PER_S = 1_000_000;
/** Data of calls that are copied by words. Measured: 220 bytes 58 ns, by a view of them 112. */
const FEW_BYTES = 256;

/** A close that lingers. */
interface Lingering {
  readonly session: Session;
  readonly at: number;
  readonly served: TcpServed;
  readonly untilUs: number;
}

export interface CallParts {
  readonly memory: SharedMemory;
  readonly network: Network;
  readonly loopback: boolean;
  readonly nowUs: () => number;
  readonly socketFor: (session: Session, local: number) => EngineSocket | null;
  /** No session has the socket any more. */
  onUnheld(socket: EngineSocket): void;
  readonly parked: ParkedEnds;
}

export class Calls {
  private readonly parts: CallParts;
  private readonly view: DataView;
  private readonly address = new SharedAddress();
  private readonly errorEntry = new ErrorEntry();
  /** The call's data, out of the program's reach while it is read more than once. */
  private readonly scratch = new Uint8Array(CALL_DATA_BYTES);
  private readonly scratchView = new DataView(this.scratch.buffer);
  private lingering: Lingering[] = [];

  constructor(parts: CallParts) {
    this.parts = parts;
    this.view = parts.memory.view;
  }

  /** Does what call `n` of a session asks for; how many submissions it is worth by the work that it was. */
  run(session: Session, n: number): number {
    const at = session.callAt(n);
    if (at < 0) return 1;
    const op = this.view.getUint32(at + CallAt.op, true);
    const local = this.view.getUint32(at + CallAt.local, true);
    if (op === Op.PING) {
      session.finishCall(at, 0);
      return 1;
    }
    if (op === Op.IOCTL || op === Op.INTERFACES) {
      session.finishCall(at, this.askAboutInterfaces(session, op, at));
      return 1;
    }
    if (op === Op.CLAIM || op === Op.OPEN) {
      session.finishCall(at, this.useParked(session, local, op, at));
      return 1;
    }
    const served = this.parts.socketFor(session, local);
    if (session.isClosed) return 1;
    if (served === null || served.isClosed) {
      session.finishCall(at, -EBADF);
      return 1;
    }
    if (op === Op.RELEASE) {
      served.removeHolder(session, local);
      // What the program does next finds the socket closed, if that was its last descriptor.
      if (!served.isHeld) this.parts.onUnheld(served);
      session.finishCall(at, 0);
      return 1;
    }
    if (op === Op.PARK) {
      this.park(session, served, local, at);
      return 1;
    }
    const work = served.pumpAll(); // what was sent before the call goes before it
    const result = served.isClosed ? -EBADF : this.dispatch(session, served, op, at);
    if (result !== LATER) session.finishCall(at, result);
    return Math.max(1, work);
  }

  private park(session: Session, served: EngineSocket, local: number, at: number): void {
    const { view } = this;
    const parked = this.parts.parked.park(
      session,
      local,
      served,
      view.getUint32(at + CallAt.args, true) === 1,
    );
    if (parked === null) {
      served.removeHolder(session, local);
      if (!served.isHeld) this.parts.onUnheld(served);
      session.finishCall(at, 1);
      return;
    }
    const { prepared } = parked;
    if (prepared === null) {
      session.finishCall(at, 0);
      return;
    }
    const { block } = prepared;
    view.setUint32(at + CallAt.args + 4, block.region.id, true);
    view.setUint32(at + CallAt.args + 8, block.headerAt, true);
    view.setUint32(at + CallAt.args + 12, block.generation, true);
    session.finishCall(at, 2);
  }

  private useParked(session: Session, local: number, op: number, at: number): number {
    const { view, parts } = this;
    if (op === Op.OPEN) {
      return parts.parked.open(session, local, this.scratchView, this.copyData(at));
    }
    const connection = view.getUint32(at + CallAt.args, true);
    return parts.parked.claim(
      session,
      local,
      connection,
      view.getInt32(at + CallAt.args + 4, true),
    );
  }

  private dispatch(session: Session, served: EngineSocket, op: number, at: number): number {
    const data = at + CallAt.data;
    const arg = (i: number): number => this.view.getInt32(at + CallAt.args + 4 * i, true);
    switch (op) {
      case Op.BIND:
        return this.bind(served, data);
      case Op.CONNECT:
        return this.connect(served, data, arg(0) === 1);
      case Op.LISTEN:
        return this.listen(served, arg(0));
      case Op.SHUTDOWN:
        return this.shutdown(served, arg(0));
      case Op.SETSOCKOPT:
        return this.setOption(served, at, arg(0), arg(1), arg(2) >>> 0, arg(3) !== 0);
      case Op.GETSOCKOPT:
        return this.getOption(served, at, arg(0), arg(1), arg(2));
      case Op.SEND_OOB:
        return this.sendUrgent(served, at);
      case Op.RECV_OOB:
        return this.receiveUrgent(served, at, arg(0), arg(1));
      case Op.RECV_ERROR:
        return this.receiveError(served, at);
      case Op.CLOSING:
        return this.linger(session, served, at, arg(0));
      case Op.ROUTE:
        return served instanceof TcpServed
          ? this.connectionRoute(session, served, data)
          : this.route(session, data);
      default:
        return -EOPNOTSUPP;
    }
  }

  private bind(served: EngineSocket, data: number): number {
    const a = this.address;
    a.read(this.view, data);
    if (a.family === 0) return -EINVAL;
    const { socket } = served;
    if (!(served instanceof TcpServed) && !(served instanceof UdpServed)) return -EOPNOTSUPP;
    const result = (socket as TcpServed["socket"] | UdpServed["socket"]).bind(
      a.address.copy(),
      a.port,
      a.scope,
    );
    if (result >= 0) served.refresh();
    return result;
  }

  private connect(served: EngineSocket, data: number, losesPort: boolean): number {
    const a = this.address;
    a.read(this.view, data);
    let result: number;
    if (served instanceof UdpServed) {
      result =
        a.family === 0
          ? served.socket.disconnect()
          : served.socket.connect(a.address.copy(), a.port, a.scope);
    } else if (served instanceof TcpServed) {
      if (a.family === 0) return served.disconnect(losesPort);
      served.begin();
      result = served.socket.connect(a.address.copy(), a.port, a.scope);
    } else return -EOPNOTSUPP;
    served.refresh();
    return result;
  }

  private listen(served: EngineSocket, backlog: number): number {
    if (!(served instanceof TcpServed)) return -EOPNOTSUPP;
    // A negative number is the largest there is, as in Linux, where it is compared without sign.
    const result = served.socket.listen(backlog < 0 ? 0x7fff_ffff : backlog);
    if (result >= 0 && served.kind !== Kind.LISTENER) served.becomeListener();
    return result;
  }

  private shutdown(served: EngineSocket, how: number): number {
    const { socket } = served;
    if (served instanceof TcpServed) {
      const wasListener = served.kind === Kind.LISTENER;
      const result =
        how !== 0 && served.hasUnsent && !wasListener
          ? served.shutdownWhenSent(how)
          : served.socket.shutdown(how);
      if (wasListener && served.socket.state !== State.LISTEN) served.stopListening();
      served.pumpIn(socket.readiness());
      served.refresh();
      return result;
    }
    if (!(served instanceof UdpServed)) return -EOPNOTSUPP;
    const result = served.socket.shutdown(how);
    served.refresh();
    return result;
  }

  // Options

  /** A copy of the call's data, which the program may be writing to. */
  private copyData(at: number): number {
    const n = Math.min(this.view.getUint32(at + CallAt.dataBytes, true), CALL_DATA_BYTES);
    const from = at + CallAt.data;
    if (n <= FEW_BYTES) copyWords(this.scratchView, 0, this.view, from, n);
    else this.scratch.set(this.parts.memory.bytes.subarray(from, from + n));
    return n;
  }

  private putData(at: number, n: number): void {
    this.parts.memory.bytes.set(this.scratch.subarray(0, n), at + CallAt.data);
    this.view.setUint32(at + CallAt.dataBytes, n, true);
  }

  /** The data end with the bytes that the kernel reads the value back as, if it has taken it. */
  private setOption(
    served: EngineSocket,
    at: number,
    level: number,
    option: number,
    keptBytes: number,
    isTaken: boolean,
  ): number {
    const bytes = this.copyData(at) - keptBytes;
    if (bytes < 0) return -EINVAL;
    const value = { view: this.scratchView, at: 0, bytes };
    const result = setOption(served, level, option, value, { keptBytes, isTaken });
    served.refresh();
    return result;
  }

  private getOption(
    served: EngineSocket,
    at: number,
    level: number,
    option: number,
    room: number,
  ): number {
    const most = Math.min(room, CALL_DATA_BYTES);
    const n = getOption(served, level, option, most, this.scratchView, 0);
    if (n < 0) return n;
    this.putData(at, n);
    return 0;
  }

  // Urgent data and errors

  private sendUrgent(served: EngineSocket, at: number): number {
    if (!(served instanceof TcpServed)) return -EOPNOTSUPP;
    if (served.hasUnsent) return -EAGAIN;
    const n = this.copyData(at);
    return served.socket.send(this.scratch, 0, n, MsgFlags.OOB);
  }

  private receiveUrgent(served: EngineSocket, at: number, room: number, flags: number): number {
    if (!(served instanceof TcpServed)) return -EOPNOTSUPP;
    const byte = served.receiveUrgent((flags & MsgFlags.PEEK) !== 0);
    if (byte < 0) return byte;
    if (room < 1) return 0;
    this.scratch[0] = byte;
    this.putData(at, 1);
    return 1;
  }

  private receiveError(served: EngineSocket, at: number): number {
    const e = this.errorEntry;
    if (!(served instanceof UdpServed) || !served.socket.takeErrorEntry(e)) return -EAGAIN;
    const view = this.scratchView;
    const n = Math.min(e.data.length, CALL_DATA_BYTES - ERROR_BYTES);
    view.setUint32(ErrorAt.errno, e.errno, true);
    view.setUint32(ErrorAt.info, e.errno === EMSGSIZE ? e.info : 0, true);
    view.setUint32(ErrorAt.data, 0, true);
    view.setUint32(ErrorAt.origin, e.origin | (e.type << 8) | (e.code << 16), true);
    const { family } = served;
    const hasOffender = !e.offender.isUnspecified;
    if (hasOffender) writeAddress(view, ErrorAt.offender, family, e.offender, 0, 0);
    else clearAddress(view, ErrorAt.offender);
    writeAddress(view, ErrorAt.destination, family, e.to, e.toPort, 0);
    this.scratch.set(e.data.subarray(0, n), ERROR_BYTES);
    this.putData(at, ERROR_BYTES + n);
    served.refresh();
    return n;
  }

  private askAboutInterfaces(session: Session, op: number, at: number): number {
    const { stack } = this.parts.network;
    const arg = this.view.getUint32(at + CallAt.args, true);
    if (op === Op.INTERFACES) {
      const records = listInterfaces(stack, session, arg, this.scratchView);
      this.putData(at, records * INTERFACE_BYTES);
      return records;
    }
    const n = this.copyData(at);
    const result = ioctl(stack, session.home, arg, this.scratchView, n);
    if (result >= 0) this.putData(at, result);
    return result < 0 ? result : 0;
  }

  /** 0: through Millrace, 1: only the kernel can, 2: that depends on the port, now. */
  private route(session: Session, data: number): number {
    const a = this.address;
    a.read(this.view, data);
    if (a.family !== Family.INET && a.family !== Family.INET6) return -EINVAL;
    const isLocal = a.address.isLoopback || a.address.isUnspecified;
    if (isLocal && !session.loopback) return 1;
    const { network } = this.parts;
    if (network.whyUnreachable(session.home, a.address, a.scope) !== "") return 1;
    if (!isLocal && !network.isKernels(a.address)) return 0;
    if (a.port === 0) return ROUTE_BY_PORT;
    return network.isThere("udp", a.address, a.port) ? 0 : 1;
  }

  /** The same for a connection, as if it were decided now. */
  private connectionRoute(session: Session, served: TcpServed, data: number): number {
    const a = this.address;
    a.read(this.view, data);
    if (a.family === 0) return -EINVAL;
    const own = { address: new IpAddress(), port: 0, scope: 0 };
    own.port = served.socket.readEnds(own.address, new IpAddress()) >>> 16;
    const peer = { address: a.address.copy(), port: a.port, scope: a.scope };
    const wanted = { kind: Kind.TCP, at: OpenedFor.CONNECT, own, peer };
    const { home, rules, loopback } = session;
    const { network } = this.parts;
    return decide(wanted, { network, home, rules, loopback }).accelerate ? 0 : 1;
  }

  // Lingering

  private linger(session: Session, served: EngineSocket, at: number, seconds: number): number {
    if (!(served instanceof TcpServed) || served.kind === Kind.LISTENER) return 0;
    if (seconds <= 0) return 0;
    // The data that was not read makes close reset the connection: nothing to wait for.
    if (served.word(SocketAt.rxHead) !== served.receivePosition) return 0;
    if (served.hasUnsent) served.shutdownWhenSent(1);
    else served.socket.shutdown(1);
    if (served.isDelivered) return 0;
    const untilUs = this.parts.nowUs() + seconds * US_PER_S;
    this.lingering.push({ session, at, served, untilUs });
    served.isLingering = true;
    return LATER;
  }

  /** Ends lingering closes that are over: by delivery, or by their time. */
  poll(nowUs: number): void {
    if (this.lingering.length === 0) return;
    this.lingering = this.lingering.filter(({ session, at, served, untilUs }) => {
      if (session.isClosed) return false;
      if (!served.isClosed && !served.isDelivered && nowUs < untilUs) return true;
      session.finishCall(at, nowUs < untilUs ? 0 : -EAGAIN);
      return false;
    });
  }

  get isWaiting(): boolean {
    return this.lingering.length > 0;
  }

  /** When the first lingering close gives up, or NEVER. */
  get nextDeadlineUs(): number {
    let soonest = NEVER;
    for (const { untilUs } of this.lingering) soonest = Math.min(soonest, untilUs);
    return soonest;
  }
}
