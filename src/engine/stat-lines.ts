/** What an engine has, as the lines of stat-message.ts. */
import type { Interface } from "../ip/interface.js";
import type { Device } from "../nic/device.js";
import { Middleware } from "../nic/middleware.js";
import { ProgramDevice } from "../nic/program-device.js";
import { Kind } from "../ring/engine-layout.js";
import { Family } from "../socket/linux-options.js";
import { TcpSocket } from "../socket/tcp-socket.js";
import { UdpSocket } from "../socket/udp-socket.js";
import { State, stateName } from "../tcp/state.js";
import type { Engine } from "./engine.js";
import type { EngineSocket } from "./engine-socket.js";
import type { KernelSocket } from "./kernel-sockets.js";
import type { Session } from "./session.js";
import type {
  StatEngine,
  StatInterface,
  StatLine,
  StatRequest,
  StatSession,
  StatSocket,
} from "./stat-message.js";
import { TcpServed } from "./tcp-served.js";

/** Every line of an answer. */
export function* statLines(
  engine: Engine,
  version: string,
  request: StatRequest,
): Generator<StatLine> {
  yield engineLine(engine, version);
  if (request.brief === true) return;
  for (const iface of engine.stack.ip.interfaces) yield interfaceLine(iface);
  for (const session of engine.sessions) yield sessionLine(session);
  for (const served of engine.sockets.values()) {
    yield socketLine(served, request.internals === true);
  }
  for (const kernel of engine.kernelSockets) yield kernelLine(kernel);
}

function engineLine(engine: Engine, version: string): StatEngine {
  const { ip, tcp, tcpPorts, udp, flows, wheel, pool } = engine.stack;
  const memory = process.memoryUsage();
  return {
    kind: "engine",
    pid: process.pid,
    version,
    profile: engine.profile,
    upUs: engine.stack.nowUs - engine.startUs,
    uid: engine.uid,
    counters: {
      "engine.turns": engine.turns,
      "engine.late": engine.pace.late,
      "engine.lateUs": engine.pace.lateUs,
      "engine.longestLateUs": engine.pace.longestUs,
      "engine.programs": engine.launched.size,
      "engine.sessions": engine.sessions.length,
      "engine.sockets": engine.sockets.size,
      "engine.kernelSockets": engine.kernelSockets.size,
      "engine.regions": engine.regions.size,
      "engine.sharedBytes": engine.memory.usedBytes,
      "engine.heapBytes": memory.heapUsed,
      "engine.externalBytes": memory.external,
      "stack.freeSmallSlots": pool.freeSmall,
      "stack.freeBigSlots": pool.freeBig,
      "stack.flows": flows.size,
      "stack.timers": wheel.armed,
      "stack.tcpRows": tcp.rows,
      "stack.tcpTimeWaits": tcp.timeWaits,
      "stack.tcpOrphans": tcp.orphans,
      "stack.tcpPorts": tcpPorts.size,
      "stack.udpEndpoints": udp.size,
      ...notZero("engine.troubles", engine.troubles.counts),
      ...notZero("ip", ip.counters.snapshot()),
      ...notZero("drop", ip.drops.snapshot()),
      ...notZero("tcp", tcp.counters.snapshot()),
    },
  };
}

/** Counters that have counted something, with their component's name before theirs. */
function notZero(
  component: string,
  counters: Readonly<Record<string, number>>,
): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [name, value] of Object.entries(counters)) {
    if (value !== 0) found[`${component}.${name}`] = value;
  }
  return found;
}

function interfaceLine(iface: Interface): StatInterface {
  const { device } = iface;
  return {
    kind: "interface",
    name: iface.name,
    index: iface.index,
    device: device.kind,
    isUp: iface.isUp,
    mtuBytes: iface.mtuBytes,
    addresses: iface.addresses.map((a) => `${a.address}/${a.prefixBits}`),
    counters: { ...device.counters.snapshot(), ...programCounters(device) },
  };
}

/** Those of an XDP program in front. */
function programCounters(device: Device): Readonly<Record<string, number>> {
  for (let one = device; one instanceof Middleware; one = one.inner) {
    if (one instanceof ProgramDevice) return one.programCounters.snapshot();
  }
  return {};
}

function sessionLine(session: Session): StatSession {
  const { program } = session;
  return {
    kind: "session",
    session: session.id,
    pid: program.pid,
    program: program.name,
    applicationId: program.applicationId,
    address: program.address,
    profile: program.profile,
    counters: {
      calls: session.calls,
      submissions: session.submissions,
      wakes: session.wakes,
      sockets: session.socketCount,
    },
  };
}

function socketLine(served: EngineSocket, internals: boolean): StatSocket {
  const { socket } = served;
  const isTcp = socket instanceof TcpSocket;
  const named = socket as TcpSocket | UdpSocket;
  const local = named.localAddress;
  const remote = named.remoteAddress;
  const { remotePort } = named;
  const info = internals && isTcp && served.kind !== Kind.LISTENER ? socket.info() : null;
  return {
    kind: "socket",
    protocol: isTcp ? "tcp" : "udp",
    family: served.family === Family.INET ? "IPv4" : "IPv6",
    state: isTcp ? tcpState(served.tcpState) : remotePort === 0 ? "UNCONN" : "ESTAB",
    recvQ: receiveQueue(served),
    sendQ: sendQueue(served),
    localAddress: local.isUnspecified ? wildcardOf(served) : local.toString(),
    localPort: named.localPort,
    remoteAddress: remotePort === 0 ? wildcardOf(served) : remote.toString(),
    remotePort,
    uid: served.uid,
    holders: served.holders.map(({ session, fd }) => ({
      session: session.id,
      pid: session.program.pid,
      fd,
      program: session.program.name,
    })),
    accelerated: true,
    reason: served.reason,
    inode: served.inode,
    drops: socket instanceof UdpSocket ? socket.endpoint.dropped : 0,
    rxBytes: served.rxBytesTotal,
    txBytes: served.txBytesTotal,
    ...(info === null ? {} : { tcp: { ...info } }),
  };
}

/** As `ss` writes it: `*` is both families. */
function wildcardOf({ family, socket }: EngineSocket): string {
  if (family === Family.INET) return "0.0.0.0";
  const isOnly6 = socket instanceof UdpSocket && socket.endpoint.v6only;
  return isOnly6 || (socket instanceof TcpSocket && socket.isV6only) ? "::" : "*";
}

function receiveQueue(served: EngineSocket): number {
  if (served instanceof TcpServed && served.kind === Kind.LISTENER) {
    return served.waitingConnections;
  }
  const named = served.socket as TcpSocket | UdpSocket;
  return served.ringBytes + named.readableBytes;
}

function sendQueue(served: EngineSocket): number {
  if (served instanceof TcpServed) {
    const { socket } = served;
    if (socket.row < 0) return 0;
    if (served.kind === Kind.LISTENER) return socket.view().backlog;
    return Math.max(0, socket.view().sndQueuedBytes) + served.unsentBytes;
  }
  return served.unsentBytes;
}

/** As `ss` writes them. */
const SS_NAMES: ReadonlyMap<number, string> = new Map([
  [State.ESTABLISHED, "ESTAB"],
  [State.SYN_RECEIVED, "SYN-RECV"],
  [State.FREE, "UNCONN"],
  [State.CLOSED, "UNCONN"],
]);

const tcpState = (state: number): string =>
  SS_NAMES.get(state) ?? stateName(state).replaceAll("_", "-");

function kernelLine({ session, request, reason }: KernelSocket): StatSocket {
  const { own, peer, family, fd, kind } = request;
  const wildcard = family === Family.INET ? "0.0.0.0" : "*"; // of IPv6 it is not known which
  return {
    kind: "socket",
    protocol: kind === Kind.TCP ? "tcp" : "udp",
    family: family === Family.INET ? "IPv4" : "IPv6",
    state: "KERNEL",
    recvQ: 0,
    sendQ: 0,
    localAddress: own === null || own.address.isUnspecified ? wildcard : own.address.toString(),
    localPort: own?.port ?? 0,
    remoteAddress: peer?.address.toString() ?? wildcard,
    remotePort: peer?.port ?? 0,
    uid: session.program.uid,
    holders: [{ session: session.id, pid: session.program.pid, fd, program: session.program.name }],
    accelerated: false,
    reason,
    inode: request.inode,
    drops: 0,
    rxBytes: 0,
    txBytes: 0,
  };
}
