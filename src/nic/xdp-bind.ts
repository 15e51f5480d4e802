/**
 * Opening AF_XDP sockets on the queues of an interface: zero copy where the driver has it, else
 * copying, with the reason; frames of several descriptors where the kernel has them.
 */
import { EBUSY, EINVAL, errnoName } from "../base/errno.js";
import type { Pool } from "../ring/pool.js";
import { SMALL_SLOT_BYTES } from "../ring/pool.js";
import { check } from "../sys/check.js";
import { pollFds } from "../sys/fd.js";
import { BindFlag, bindHints, RX_HEADROOM_BYTES, XskSocket } from "../sys/xsk.js";

/** Longest frame that is received in one descriptor. */
export const ONE_CHUNK_BYTES = SMALL_SLOT_BYTES - RX_HEADROOM_BYTES;
/** Ethernet header and two VLAN tags. */
const LINK_BYTES = 22;

export interface BindOptions {
  readonly interface: string;
  readonly interfaceIndex: number;
  readonly queues: readonly number[];
  readonly entries: number;
  readonly mtuBytes: number;
  /** True: nothing else will do. False: it is not tried. */
  readonly zeroCopy: boolean | "auto";
  /** Why zero copy is out of the question, or null. */
  readonly noZeroCopy: string | null;
  readonly txMetadata: boolean;
  readonly busyPollUs: number;
  readonly busyPollBudget: number;
}

export interface BoundSockets {
  /** In the order of `queues`; all share the memory that the first one registered. */
  readonly sockets: readonly XskSocket[];
  readonly hasMetadata: boolean;
  readonly isMultiBuffer: boolean;
  /** Why frames are copied although zero copy was wanted; null otherwise. */
  readonly copyReason: string | null;
}

/** Throws `NetError` with nothing left open. */
export function bindQueues(pool: Pool, options: BindOptions): BoundSockets {
  const sockets: XskSocket[] = [];
  try {
    const first = openSocket(sockets, options);
    const { smallBase, smallSlots } = pool.memory;
    const lengthBytes = smallSlots * SMALL_SLOT_BYTES;
    const hasMetadata = first.register(pool.bytes, smallBase, lengthBytes, options.txMetadata);
    makeRings(first, options.entries);
    const bound = bindFirst(first, options);
    for (const queue of options.queues.slice(1)) bindNext(sockets, first, queue, options);
    return { sockets, hasMetadata, ...bound };
  } catch (error) {
    for (const socket of sockets) socket.close();
    throw error;
  }
}

function openSocket(sockets: XskSocket[], options: BindOptions): XskSocket {
  const socket = new XskSocket();
  sockets.push(socket);
  if (options.busyPollUs > 0) socket.setBusyPoll(options.busyPollUs, options.busyPollBudget);
  return socket;
}

function makeRings(socket: XskSocket, entries: number): void {
  for (const ring of ["fill", "completion", "rx", "tx"] as const) socket.makeRing(ring, entries);
}

/** Tries the ways of binding, the best first. */
function bindFirst(
  socket: XskSocket,
  options: BindOptions,
): { isMultiBuffer: boolean; copyReason: string | null } {
  const queue = options.queues[0]!;
  const one = (flags: number): number =>
    patiently(() => socket.bind(options.interfaceIndex, queue, flags | BindFlag.NEED_WAKEUP));
  const isLong = options.mtuBytes + LINK_BYTES > ONE_CHUNK_BYTES;
  let copyReason = options.zeroCopy === false ? null : options.noZeroCopy;
  if (options.zeroCopy !== false && options.noZeroCopy === null) {
    const result = one(BindFlag.ZERO_COPY | (isLong ? BindFlag.MULTI_BUFFER : 0));
    if (result === 0) return { isMultiBuffer: isLong, copyReason: null };
    copyReason = `the driver refused zero copy: ${errnoName(-result)}`;
    if (options.zeroCopy === true) bound(result, options, queue);
  }
  if (one(BindFlag.COPY | BindFlag.MULTI_BUFFER) === 0) return { isMultiBuffer: true, copyReason };
  // Linux before 6.6 has no frames of several descriptors.
  bound(one(BindFlag.COPY), options, queue);
  return { isMultiBuffer: false, copyReason };
}

/** Other queues use the first one's memory, and its modes with it. */
function bindNext(
  sockets: XskSocket[],
  first: XskSocket,
  queue: number,
  options: BindOptions,
): void {
  const socket = openSocket(sockets, options);
  makeRings(socket, options.entries);
  const { interfaceIndex } = options;
  const shared = BindFlag.SHARED_UMEM;
  const result = patiently(() => socket.bind(interfaceIndex, queue, shared, first.fd));
  bound(result, options, queue);
}

/** The kernel lets go of a queue a moment after the socket that had it was closed. */
function patiently(bind: () => number): number {
  for (let waits = 0; ; waits++) {
    const result = bind();
    if (result !== -EBUSY || waits === BUSY_WAITS) return result;
    pollFds(NO_FDS, 0, BUSY_WAIT_US);
  }
}

const NO_FDS = new Int32Array(0);
const BUSY_WAITS = 100;
const BUSY_WAIT_US = 3_000;

function bound(result: number, options: BindOptions, queue: number): void {
  const hints = bindHints(options.interface, queue);
  const known = result === -EINVAL || hints[-result] !== undefined;
  check(result, "bind AF_XDP", known ? hints : {});
}
