/** MR_MSG_OPEN: decides, makes the stack's socket with the options set so far, and binds it. */
import {
  EADDRNOTAVAIL,
  EINPROGRESS,
  EINVAL,
  EMFILE,
  ENETUNREACH,
  ENOBUFS,
  ENOMEM,
  errnoName,
} from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { needsZone } from "../ip/zone.js";
import { Kind, OpenedFor } from "../ring/engine-layout.js";
import { Family, optionName } from "../socket/linux-options.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import type { UdpSocket } from "../socket/udp-socket.js";
import { decide } from "./decision.js";
import type { EngineSocket } from "./engine-socket.js";
import { KernelValues } from "./kernel-values.js";
import { Companion, NotOpened, type OpenRequest } from "./message.js";
import type { Network } from "./network.js";
import { setOption } from "./options.js";
import type { PreparedBlock } from "./parked-end.js";
import type { Block, RegionPool, RingSizes } from "./region.js";
import type { Session } from "./session.js";
import type { SharedMemory } from "./shared-memory.js";
import type { SocketHost } from "./socket-host.js";
import { TcpServed } from "./tcp-served.js";
import { UdpServed } from "./udp-served.js";

/** `MR_OPTION_READS_BACK` of layout.h; negative as an int. */
const READS_BACK = 0x8000_0000 | 0;

export interface OpenResult {
  readonly request: OpenRequest;
  /** Null: it is not accelerated. */
  readonly served: EngineSocket | null;
  /** 0, a negated error number for the program, or {@link NotOpened}. */
  readonly code: number;
  readonly reason: string;
  /** It would be accelerated if the engine had room for it. */
  readonly lacksRoom?: boolean;
}

/** Whether an error says that there is no room for something: memory, descriptors or rows of the stack. */
export const lacksRoom = (error: unknown): boolean =>
  error instanceof NetError && [-ENOMEM, -EMFILE, -ENOBUFS].includes(error.errno);

export interface RingSettings {
  readonly udp: RingSizes;
  readonly tcp: RingSizes;
  readonly listener: RingSizes;
}

export const DEFAULT_RINGS: RingSettings = {
  udp: { rxBytes: 131_072, txBytes: 131_072 },
  tcp: { rxBytes: 65_536, txBytes: 65_536 },
  // A listener's ring to the engine carries nothing.
  listener: { rxBytes: 8_192, txBytes: 4_096 },
};

/** How much smaller rings are when the address space is this full. A datagram of 64 KiB must fit. */
const SMALLER: readonly (readonly [fullness: number, tcpBytes: number])[] = [
  [0.6, 8_192],
  [0.4, 16_384],
  [0.25, 32_768],
];
const LARGEST_DATAGRAM_RING = 131_072;

/** Ring sizes for a socket now. */
export function ringSizes(rings: RingSettings, kind: number, fullness: number): RingSizes {
  if (kind === Kind.LISTENER) return rings.listener;
  if (kind === Kind.UDP) {
    const least = Math.min(rings.udp.rxBytes, LARGEST_DATAGRAM_RING);
    return fullness > 0.7 ? { rxBytes: least, txBytes: least } : rings.udp;
  }
  for (const [limit, bytes] of SMALLER) {
    if (fullness <= limit) continue;
    return {
      rxBytes: Math.min(bytes, rings.tcp.rxBytes),
      txBytes: Math.min(bytes, rings.tcp.txBytes),
    };
  }
  return rings.tcp;
}

/**
 * A block for a socket with rings as there is room for them, smaller ones for TCP when it has become
 * scarce. Throws `NetError` ENOMEM.
 */
export function takeBlock(
  pool: RegionPool,
  memory: SharedMemory,
  rings: RingSettings,
  id: number,
  kind: number,
  family: number,
): Block {
  const blockKind = kind === Kind.LISTENER ? Kind.TCP : kind;
  const take = (fullness: number): Block =>
    pool.take(id, blockKind, family, ringSizes(rings, kind, fullness));
  try {
    return take(memory.fullness);
  } catch (error) {
    if (!(error instanceof NetError) || error.errno !== -ENOMEM || kind !== Kind.TCP) throw error;
    return take(1);
  }
}

export interface OpeningParts {
  readonly network: Network;
  readonly host: SocketHost;
  readonly rings: RingSettings;
  readonly nextId: () => number;
}

/** `values` is the message, in which the options' values lie. */
export function openSocket(
  parts: OpeningParts,
  session: Session,
  request: OpenRequest,
  values: DataView,
): OpenResult {
  const { network } = parts;
  const { loopback, rules, program } = session;
  const decision = decide(request, { network, home: session.home, rules, loopback });
  const refused = decision.accelerate
    ? refuseConnect(network, session, request)
    : refuseBind(network, request);
  if (refused !== 0) return { request, served: null, code: refused, reason: errnoName(refused) };
  if (!decision.accelerate) return kernelKeeps(request, decision.reason);
  if (request.companion === Companion.NOTHING_COMES) {
    return lackingRoom(network, request, request.reason);
  }
  let served: TcpServed | UdpServed;
  try {
    served = make(parts, session, request);
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    const reason = `no room in the engine (${error.message})`;
    if (!lacksRoom(error)) return kernelKeeps(request, reason);
    return { ...lackingRoom(network, request, reason), lacksRoom: true };
  }
  served.reason = decision.reason;
  served.uid = program.uid;
  served.home = session.home;
  served.inode = request.inode;
  const unset = setOptions(served, request, values);
  if (unset !== null) {
    served.discard();
    const { result, name } = unset;
    if (request.at === OpenedFor.TRY) return { request, served: null, code: result, reason: "" };
    return kernelKeeps(request, `option ${name} is not Millrace's (${errnoName(result)})`);
  }
  if (!loopback && deviceOf(served) === network.stack.ip.lo.index) {
    served.discard();
    return kernelKeeps(request, "bound to the kernel's interface lo");
  }
  if (request.at === OpenedFor.TRY) {
    served.discard();
    return kernelKeeps(request, "not decided");
  }
  const bound = bindOwn(served.socket, request);
  if (bound < 0) {
    served.discard();
    return { request, served: null, code: bound, reason: `bind: ${errnoName(bound)}` };
  }
  served.refresh();
  return { request, served, code: 0, reason: placeOf(network, request) };
}

/** What Linux says to a connect at once, and which leaves the socket as it was. */
function refuseConnect(network: Network, session: Session, request: OpenRequest): number {
  const { at, kind, peer, own, options } = request;
  if (at !== OpenedFor.CONNECT || peer === null) return 0;
  const isTcp = kind === Kind.TCP;
  if (isTcp && network.isMany(session.home, peer.address, peer.scope)) return -ENETUNREACH;
  const lacksZone = needsZone(peer.address) && peer.scope === 0 && (own?.scope ?? 0) === 0;
  // One of the options may name the interface.
  return lacksZone && options.length === 0 ? -EINVAL : 0;
}

/** An address that nobody has, on an interface of Millrace's: the kernel would say that there is no such interface. */
function refuseBind(network: Network, { own }: OpenRequest): number {
  const isElsewhere = own !== null && needsZone(own.address) && network.isOwn(own.scope);
  return isElsewhere ? -EADDRNOTAVAIL : 0;
}

/** The interface to which options have bound it, or 0. */
const deviceOf = ({ socket }: TcpServed | UdpServed): number =>
  "endpoint" in socket ? socket.endpoint.ifIndex : socket.zone;

/** The interface for what `--debug` prints. */
function placeOf(network: Network, { own, peer }: OpenRequest): string {
  return network.placeOf(own?.address ?? null, peer?.address ?? null, peer?.scope ?? 0);
}

const kernelKeeps = (request: OpenRequest, reason: string): OpenResult => ({
  request,
  served: null,
  code: NotOpened.STAYS,
  reason,
});

/** What would be accelerated, and cannot: the kernel takes it, unless it has no way there. */
export function lackingRoom(network: Network, request: OpenRequest, reason: string): OpenResult {
  const { own, peer, at } = request;
  const place = at === OpenedFor.CONNECT || at === OpenedFor.SEND ? peer : own;
  const hasWay = place === null || !network.isOnAmongPrograms(place.address);
  const code = hasWay ? NotOpened.NO_ROOM : NotOpened.NO_ROOM_NOR_WAY;
  return { request, served: null, code, reason };
}

/**
 * MR_OP_OPEN: connects in a block that was prepared before. The program does not wait for the answer:
 * whatever is wrong is an error of the connection. Null: the stack has no room for one.
 */
export function openPrepared(
  parts: OpeningParts,
  session: Session,
  request: OpenRequest,
  values: DataView,
  prepared: PreparedBlock,
): TcpServed | null {
  const { network, host } = parts;
  const { loopback, rules, program } = session;
  const socket = host.stack.tcpSocket(prepared.family);
  if (socket === null) return null;
  socket.home = session.home;
  const { block, pool, socketId, family } = prepared;
  const served = new TcpServed(host, socketId, family, block, pool, socket);
  served.beginPrepared();
  served.home = session.home;
  served.uid = program.uid;
  const decision = decide(request, { network, home: session.home, rules, loopback });
  served.reason = decision.reason;
  let result = decision.accelerate ? 0 : -ENETUNREACH;
  if (result >= 0) result = setOptions(served, request, values)?.result ?? 0;
  const { address, port, scope } = request.peer!;
  if (result >= 0) result = socket.connect(address, port, scope);
  if (result < 0 && result !== -EINPROGRESS) served.setError(-result);
  return served;
}

/** What the program set before; the first that is refused, or null. */
function setOptions(
  served: TcpServed | UdpServed,
  request: OpenRequest,
  values: DataView,
): { readonly result: number; readonly name: string } | null {
  for (const o of request.options) {
    if (o.level < 0) {
      served.kernelValues ??= new KernelValues();
      served.kernelValues.keep(o.level & ~READS_BACK, o.option, values, o.at, o.bytes);
      continue;
    }
    const value = { view: values, at: o.at, bytes: o.bytes };
    const result = setOption(served, o.level, o.option, value, { isTaken: true, keptBytes: 0 });
    if (result < 0) return { result, name: optionName(o.level, o.option) };
  }
  return null;
}

/** Throws `NetError` when there is no memory for it. */
function make(parts: OpeningParts, session: Session, request: OpenRequest): TcpServed | UdpServed {
  const { host, rings } = parts;
  const { kind, family } = request;
  const { stack, memory } = host;
  const pool = session.regionPool;
  const id = parts.nextId();
  if (kind === Kind.UDP) {
    const block = takeBlock(pool, memory, rings, id, kind, family);
    const socket = stack.udpSocket(family);
    socket.endpoint.home = session.home;
    socket.endpoint.kernelHolds = request.companion !== Companion.NONE;
    return new UdpServed(host, id, family, block, pool, socket);
  }
  const willListen = request.at === OpenedFor.LISTEN;
  const block = takeBlock(pool, memory, rings, id, willListen ? Kind.LISTENER : kind, family);
  const socket = stack.tcpSocket(family);
  if (socket === null) {
    pool.give(block);
    throw new NetError(ENOBUFS, { syscall: "socket", hint: "the stack has no row left" });
  }
  socket.home = session.home;
  socket.kernelHolds = request.companion !== Companion.NONE;
  return new TcpServed(host, id, family, block, pool, socket);
}

/** Binds the socket as the program's kernel socket is; 0 or a negated error number. */
function bindOwn(socket: TcpSocket | UdpSocket, request: OpenRequest): number {
  const { own, at, family } = request;
  if (own === null) return 0;
  const isFree = own.address.isUnspecified && own.port === 0;
  // What connect or a send will choose is not chosen before.
  if (isFree && (at === OpenedFor.CONNECT || at === OpenedFor.SEND)) return 0;
  if (family === Family.INET && !own.address.isV4) return 0;
  return socket.bind(own.address, own.port, own.scope);
}
