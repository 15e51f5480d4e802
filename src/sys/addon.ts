/**
 * The native addon: found, loaded on first use, and typed. Other files of sys/ wrap its functions;
 * nothing outside sys/ sees them.
 *
 * The addon's one convention: a call that fails returns a negative error number and never throws.
 */
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { ENOENT, ENOSYS } from "../base/errno.js";
import { NetError } from "../base/errors.js";

/** What a waiter is to JavaScript: opaque. */
export interface WaiterHandle {
  readonly waiter: unique symbol;
}

/** What a call from the event loop is to JavaScript: opaque. */
export interface LoopCallHandle {
  readonly loopCall: unique symbol;
}

/** What a TAP's queue is to JavaScript: opaque. */
export interface TapQueueHandle {
  readonly tapQueue: unique symbol;
}

/** What a mapped ring is to JavaScript: opaque. */
export interface MappingHandle {
  readonly mapping: unique symbol;
}

/** What a map of bpf(2) is to JavaScript: opaque. */
export interface BpfMapHandle {
  readonly bpfMap: unique symbol;
}

/** The functions of native/addon/, where each is described. */
export interface Addon {
  fdClose(fd: number): number;
  fdSilence(fd: number): number;
  fdLower(fd: number): number;
  eventCreate(): number;
  eventSignal(fd: number): number;
  eventRing(fd: number): number;
  watchStart(): number;
  watchStop(): number;
  eventDrain(fd: number): number;
  pipeCreate(out: Int32Array): number;
  fdLock(path: string): number;
  loopFd(): number;
  pollFds(fds: Int32Array, n: number, timeoutUs: number): number;

  programExec(path: string, words: Uint8Array, n: number): number;
  clockOpen(place: Float64Array): (() => void) | number;
  cpuNow(): number;
  realTimeAhead(): number;
  switchesNow(): number;

  bpfMapCreate(
    type: number,
    keyBytes: number,
    valueBytes: number,
    maxEntries: number,
    flags: number,
    name: string,
    cpus: number,
    innerFd: number,
    btfFd: number,
    keyType: number,
    valueType: number,
  ): BpfMapHandle | number;
  bpfMapFd(map: BpfMapHandle): number;
  bpfMapClose(map: BpfMapHandle): number;
  bpfMapLookup(map: BpfMapHandle, key: Uint8Array, value: Uint8Array): number;
  bpfMapUpdate(map: BpfMapHandle, key: Uint8Array, value: Uint8Array, flags: number): number;
  bpfMapDelete(map: BpfMapHandle, key: Uint8Array): number;
  bpfMapFreeze(map: BpfMapHandle): number;
  bpfMapNextKey(map: BpfMapHandle, next: Uint8Array, key: Uint8Array | null): number;
  bpfProgLoad(
    type: number,
    code: Uint8Array,
    license: string,
    name: string,
    flags: number,
    attachType: number,
    log: Uint8Array | null,
    interfaceIndex: number,
    btfFd: number,
    functions: Uint8Array,
    lines: Uint8Array,
  ): number;
  bpfBtfLoad(types: Uint8Array): number;
  bpfTestRun(
    fd: number,
    data: Uint8Array,
    out: Uint8Array,
    context: Uint8Array | null,
    repeat: number,
    results: Int32Array,
  ): number;
  bpfLinkXdp(progFd: number, interfaceIndex: number, flags: number): number;
  bpfInfo(fd: number, out: Uint8Array): number;
  bpfNextId(kind: number, id: number): number;
  bpfOpenId(kind: number, id: number): number;
  interfaceIndex(name: string): number;
  xdpQuery(interfaceIndex: number, results: Int32Array): number;

  memfdCreate(name: string, sizeBytes: number): number;
  memfdFilled(name: string, contents: Uint8Array): number;
  memfdSeals(fd: number): number;
  fdBytes(fd: number): number;
  heapKeep(bytes: number): number;
  copyPast(to: Uint8Array, toAt: number, from: Uint8Array, fromAt: number, n: number): number;
  memoryMap(
    bytes: Uint8Array,
    at: number,
    lengthBytes: number,
    fd: number,
    fdAt: number,
    writable: number,
  ): number;
  memoryUnmap(bytes: Uint8Array, at: number, lengthBytes: number): number;

  tapOpen(path: string): number;
  tapAttach(fd: number, name: string, multiQueue: number): number;
  tapName(fd: number): string | number;
  tapHeader(fd: number): number;
  tapOffload(fd: number, wanted: number): number;
  tapQueueOpen(
    fd: number,
    memory: Uint8Array,
    smallAts: Int32Array,
    bigAts: Int32Array,
    rxLengths: Int32Array,
    txAts: Int32Array,
    txLengths: Int32Array,
  ): TapQueueHandle | number;
  tapQueueClose(queue: TapQueueHandle): number;
  tapReceive(
    queue: TapQueueHandle,
    n: number,
    nBig: number,
    smallRoomBytes: number,
    bigRoomBytes: number,
  ): number;
  tapTransmit(queue: TapQueueHandle, n: number): number;
  interfaceMac(name: string, out: Uint8Array): number;
  interfaceSetMac(name: string, mac: Uint8Array): number;
  interfaceMtu(name: string): number;
  interfaceSetMtu(name: string, mtuBytes: number): number;
  interfaceIsUp(name: string): number;
  interfaceSetUp(name: string, up: number): number;

  unixListen(name: Uint8Array, backlog: number): number;
  unixConnect(name: Uint8Array): number;
  unixAccept(fd: number): number;
  unixSend(fd: number, message: Uint8Array, passed: number): number;
  unixReceive(fd: number, message: Uint8Array, out: Int32Array): number;
  unixSendAll(fd: number, message: Uint8Array, passed: Int32Array, n: number): number;
  unixReceiveAll(fd: number, message: Uint8Array, out: Int32Array): number;
  unixPeer(fd: number, out: Int32Array): number;
  socketKind(fd: number): number;
  unixWaiting(fd: number): number;
  unixShut(fd: number): number;
  unixPair(out: Int32Array): number;
  pollSetTake(set: number, out: Int32Array, n: number): number;
  pollSetCreate(): number;
  pollSetAdd(set: number, fd: number, edge: number): number;
  pollSetRemove(set: number, fd: number): number;
  interfaceState(fd: number, index: number): number;
  interfaceQueues(name: string): number;
  interfaceDriver(name: string): string | number;
  fdUnion(fds: Int32Array, n: number): number;

  mappingOpen(fd: number, fdAt: number, lengthBytes: number): MappingHandle | number;
  mappingBuffer(mapping: MappingHandle): ArrayBuffer | number;
  mappingClose(mapping: MappingHandle): number;

  xskOpen(): number;
  xskRegister(
    fd: number,
    memory: Uint8Array,
    at: number,
    lengthBytes: number,
    chunkBytes: number,
    metadataBytes: number,
  ): number;
  xskRing(fd: number, option: number, entries: number): number;
  xskOffsets(fd: number, out: Int32Array): number;
  xskBind(fd: number, index: number, queue: number, flags: number, sharedFd: number): number;
  xskIsZeroCopy(fd: number): number;
  xskStatistics(fd: number, out: Int32Array): number;
  xskBusyPoll(fd: number, busyUs: number, budgetFrames: number): number;
  xskSend(fd: number): number;
  xskReceive(fd: number): number;

  packetOpen(): number;
  packetOption(fd: number, option: number, value: number): number;
  packetRing(
    fd: number,
    isTx: number,
    blockBytes: number,
    blocks: number,
    frameBytes: number,
    frames: number,
  ): number;
  packetBind(fd: number, index: number): number;
  packetMembership(fd: number, index: number, type: number): number;
  packetStatistics(fd: number, out: Int32Array): number;
  packetSend(fd: number): number;

  waiterOpen(onWake: (armNumber: number) => void): WaiterHandle | number;
  waiterAdd(waiter: WaiterHandle, fd: number): number;
  waiterRemove(waiter: WaiterHandle, fd: number): number;
  waiterArm(waiter: WaiterHandle, armNumber: number): number;
  waiterDisarm(waiter: WaiterHandle): number;
  waiterRef(waiter: WaiterHandle, keepsAlive: number): number;
  waiterClose(waiter: WaiterHandle): number;

  loopCallOpen(call: () => void, scoped: () => void): LoopCallHandle | number;
  loopCallSoon(handle: LoopCallHandle): number;
  loopCallScoped(handle: LoopCallHandle): number;
  exceptionThrow(error: unknown): number;

  socketOpen(family: number, type: number, protocol: number): number;
  socketBind(fd: number, address: Uint8Array): number;
  socketConnect(fd: number, address: Uint8Array): number;
  socketName(fd: number, out: Uint8Array): number;
  socketPeer(fd: number): number;
  socketListen(fd: number, backlog: number): number;
  socketAccept(fd: number): number;
  socketError(fd: number): number;
  socketSetOption(fd: number, level: number, option: number, value: Uint8Array): number;
  socketDropAll(fd: number): number;
  socketSend(fd: number, bytes: Uint8Array, at: number, n: number): number;
  socketReceive(fd: number, bytes: Uint8Array, at: number, n: number): number;
  socketSendTo(fd: number, bytes: Uint8Array, at: number, n: number, address: Uint8Array): number;
  socketReceiveFrom(fd: number, bytes: Uint8Array, at: number, n: number, from: Uint8Array): number;
  netlinkSend(fd: number, bytes: Uint8Array, n: number): number;
  netlinkReceive(fd: number, out: Uint8Array): number;
}

let loaded: Addon | null = null;

/** The addon, loaded at the first call. Throws `NetError` that says what to run when it is absent. */
export function addon(): Addon {
  loaded ??= load();
  return loaded;
}

/** The package's folder: above src/ in a checkout run as it is, above dist/src/ when compiled. */
function packageFolder(): string {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (dirname(folder) === folder) return start;
  }
}

/** `$MILLRACE_ADDON` (for tests of other builds), what `npm ci` built, what the package brought. */
function candidates(folder: string): string[] {
  const chosen = process.env.MILLRACE_ADDON;
  if (chosen !== undefined && chosen !== "") return [chosen];
  return [
    join(folder, "native", "build", "millrace.node"),
    join(folder, "prebuilds", `linux-${process.arch}`, "millrace.node"),
  ];
}

function load(): Addon {
  if (process.platform !== "linux") {
    throw new NetError(ENOSYS, {
      syscall: "dlopen",
      hint: `Millrace's devices need Linux; this is ${process.platform}`,
    });
  }
  const folder = packageFolder();
  const paths = candidates(folder);
  const path = paths.find((candidate) => existsSync(candidate));
  if (path === undefined && paths.length === 1) {
    const hint = `MILLRACE_ADDON names ${paths[0]}, which is not there or may not be read`;
    throw new NetError(ENOENT, { syscall: "dlopen", hint });
  }
  if (path === undefined) {
    throw new NetError(ENOENT, {
      syscall: "dlopen",
      hint: `the native addon is not built (npm's --ignore-scripts leaves it out); run: node ${join(folder, "scripts", "install.js")}`,
    });
  }
  const module = { exports: {} };
  try {
    process.dlopen(module, path, constants.dlopen.RTLD_NOW);
  } catch (cause) {
    throw new NetError(ENOENT, {
      syscall: "dlopen",
      hint: `${path} cannot be loaded (${(cause as Error).message}); build it for this machine: rm -r ${join(folder, "native", "build")}; node ${join(folder, "scripts", "install.js")}`,
      cause,
    });
  }
  return module.exports as Addon;
}
