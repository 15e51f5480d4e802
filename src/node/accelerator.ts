/**
 * What this thread accelerates: the settings, the stack (made when it is first needed), and the
 * decision for each socket, first by rules, then by address and route.
 */
import { createRequire } from "node:module";
import { networkInterfaces } from "node:os";
import { basename } from "node:path";
import { isMainThread } from "node:worker_threads";
import { IpAddress } from "../base/ip-address.js";
import { nowMs } from "../base/timers.js";
import { ProgramRules, type Role } from "../socket/rules.js";
import { printLine } from "./natives.js";
import { accelerates, type NodeSettings, nameOf } from "./settings.js";
import { checkTogether } from "./settings-together.js";
import type { StackSide } from "./stack-side.js";
import { both, kernel, millrace, printVerdicts, type Verdict } from "./verdict.js";

/** How long a look at the kernel's own addresses holds. */
const ADDRESSES_MS = 1_000;
const PATH_LOCAL = 1;

const NOT_CONFIGURED = kernel("nothing is configured (MILLRACE_NIC, MILLRACE_LOOPBACK=1)");
const LOOPBACK_OFF = kernel("loopback is the kernel's (MILLRACE_LOOPBACK=1 changes that)");
const NO_DEVICE = kernel("no device is configured (MILLRACE_NIC)");
const PARENTS = kernel(
  "the device is the parent process's (give this one its own in MILLRACE_NIC)",
);
const IN_PROCESS = millrace("a socket of this thread is at the other end");
const OWN_ADDRESS = millrace("the address is Millrace's");
const GROUP = millrace("groups and broadcasts go through Millrace's interface");
const noDevice = (): Verdict => (isParents ? PARENTS : NO_DEVICE);
const EVERY_ADDRESS = both("the wildcard address: Millrace's addresses and the kernel's");
const BOTH_LOOPBACKS = both("loopback: Millrace's for this thread, the kernel's for others");

/**
 * The one place that loads the stack, at once, when a socket needs it.
 */
const require = createRequire(import.meta.url);
const loadParser = (): typeof import("../socket/rules-parser.js") =>
  require("../socket/rules-parser.js");
const loadSide = (): typeof import("./stack-side.js") => require("./stack-side.js");

let settings: NodeSettings = {};
let rules = new ProgramRules([], "", "");
let side: StackSide | null = null;
let tellsAsIo = false;
/** Why there is no stack. */
let failure: Verdict | null = null;

/**
 * The device of the process that has forked this one, which has a channel to it: both run the same
 * preloads with the same environment, and one device cannot serve two.
 */
const PARENTS_NIC =
  isMainThread && process.channel !== undefined ? process.env.MILLRACE_PARENT_NIC : undefined;
let isParents = false;

/** Takes the settings for the sockets to come. Throws when the stack is in use already. */
export function configure(next: NodeSettings): void {
  if (side !== null) {
    throw new Error("millrace: register() came after the first accelerated socket; call it before");
  }
  checkTogether(next);
  rules = rulesOf(next);
  settings = next;
  if (next.nic !== undefined) takeDevice(next);
  failure = null;
  printVerdicts(next.debug === true);
}

function takeDevice({ nic, ...rest }: NodeSettings): void {
  isParents = nic === PARENTS_NIC;
  if (isParents) settings = rest;
  else if (isMainThread) process.env.MILLRACE_PARENT_NIC = nic;
}

/** Throws what `readRules` throws, which names file, line and column; `TypeError` when there is no such file. */
function rulesOf({ rules: file }: NodeSettings): ProgramRules {
  const { MILLRACE_APPLICATION_ID, VMA_APPLICATION_ID } = process.env;
  const id = MILLRACE_APPLICATION_ID ?? VMA_APPLICATION_ID ?? "";
  const read = file === undefined ? [] : readRules(file);
  return new ProgramRules(read, basename(process.execPath), id);
}

function readRules(file: string): ReturnType<ReturnType<typeof loadParser>["readRules"]> {
  try {
    return loadParser().readRules(file);
  } catch (cause) {
    if (!(cause instanceof Error) || !("syscall" in cause)) throw cause;
    const text = `expected a file of rules, got "${file}": ${cause.message}`;
    throw new TypeError(`${nameOf("rules")}: ${text}`, { cause });
  }
}

export const currentSettings = (): NodeSettings => settings;

/** The stack if it has been made. */
export const openSide = (): StackSide | null => side;

/** The stack, made now if need be; null: see the verdicts. */
export function stackSide(): StackSide | null {
  if (side !== null || failure !== null || !accelerates(settings)) return side;
  try {
    side = loadSide().StackSide.open(settings, tellsAsIo);
    process.once("exit", endSide);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    failure = kernel(`the device could not be opened: ${why}`);
    printLine(`millrace: ${why}; sockets stay with the kernel`);
  }
  return side;
}

function endSide(): void {
  side?.end();
}

/** What forbids acceleration whatever the address, or null. */
function refusal(): Verdict | null {
  if (!accelerates(settings)) return isParents ? PARENTS : NOT_CONFIGURED;
  return stackSide() === null ? (failure ?? NOT_CONFIGURED) : null;
}

/** What forbids acceleration there, settings or a rule; null: nothing. `from` as far as it is known. */
function refusalAt(role: Role, at: IpAddress, port: number, from: End | null): Verdict | null {
  const no = refusal();
  if (no !== null) return no;
  const isLocal = role === "tcp_server" || role === "udp_receiver";
  const end = { address: at, port };
  const { accelerate, reason } = isLocal
    ? rules.decide(role, end, null)
    : rules.decide(role, from, end);
  return accelerate ? null : kernel(reason);
}

/** An address and port. */
interface End {
  readonly address: IpAddress;
  readonly port: number;
}

export function forConnect(to: IpAddress, port: number, from: End | null): Verdict {
  const no = refusalAt("tcp_client", to, port, from);
  if (no !== null) return no;
  const s = side!;
  if (to.isLoopback || to.isUnspecified) {
    if (settings.loopback !== true) return LOOPBACK_OFF;
    return s.hasListener(to, port) ? IN_PROCESS : kernel("no socket of this thread listens there");
  }
  return s.device === null ? noDevice() : byRoute(s, to, () => s.hasListener(to, port));
}

/** A datagram to there, or a peer, of a socket that both could carry. */
export function forDatagram(role: Role, to: IpAddress, port: number, from: End): Verdict {
  const no = refusalAt(role, to, port, from);
  if (no !== null) return no;
  const s = side!;
  const source = from.address.isUnspecified ? to : from.address;
  const isMine = (): boolean => s.hasUdp(to, port, source, from.port);
  if (to.isLoopback || to.isUnspecified) {
    if (settings.loopback !== true) return LOOPBACK_OFF;
    return isMine() ? IN_PROCESS : kernel("no socket of this thread is bound there");
  }
  return s.device === null ? noDevice() : byRoute(s, to, isMine);
}

function byRoute(s: StackSide, to: IpAddress, isMine: () => boolean): Verdict {
  if (to.isMulticast || to.isLimitedBroadcast) return GROUP;
  const path = s.stack.ip.resolve(to, null, 0);
  if (path === null || path.iface.isLoopback !== (path.kind === PATH_LOCAL)) {
    return kernel("Millrace has no route there");
  }
  if (path.kind === PATH_LOCAL) {
    if (!s.isShared || isMine()) return OWN_ADDRESS;
    return kernel("the address is the kernel's, and no socket of this thread is bound there");
  }
  if (!path.nextHop.equals(to) && isKernels(to)) return kernel("the address is the kernel's own");
  return millrace(`the route goes through ${path.iface.name}`);
}

/** Who a server or a bound socket at this address is. */
export function forBind(role: Role, at: IpAddress, port: number): Verdict {
  const no = refusalAt(role, at, port, null);
  if (no !== null) return no;
  const s = side!;
  if (at.isUnspecified) {
    if (s.isShared) return millrace("every address of the shared interfaces; no other interfaces");
    return EVERY_ADDRESS;
  }
  if (at.isLoopback) return settings.loopback === true ? BOTH_LOOPBACKS : LOOPBACK_OFF;
  if (s.device === null) return noDevice();
  if (at.isMulticast) return EVERY_ADDRESS;
  return s.stack.ip.mayBind(at) ? OWN_ADDRESS : kernel("the address is not Millrace's");
}

/** Handles below `net` run ticks and microtasks themselves, others (`millrace/net`) leave them to Node. */
export function handlesAreInstalled(): void {
  tellsAsIo = true;
}

let kernelAddresses = new Set<string>();
let kernelAddressesAtMs = Number.NEGATIVE_INFINITY;

/** Whether the kernel has the address: a default route of Millrace's does not change that. */
function isKernels(address: IpAddress): boolean {
  const atMs = nowMs();
  if (atMs - kernelAddressesAtMs > ADDRESSES_MS) {
    kernelAddressesAtMs = atMs;
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    kernelAddresses = new Set(all.map(({ address: text }) => text));
  }
  return kernelAddresses.has(address.toString());
}

/** Parses what Node has resolved, with its zone; null when it is no address. */
export function addressOf(
  text: string,
): { readonly address: IpAddress; readonly zone: string } | null {
  const at = text.indexOf("%");
  const address = IpAddress.tryParse(at < 0 ? text : text.slice(0, at));
  return address === null ? null : { address, zone: at < 0 ? "" : text.slice(at + 1) };
}

/** Interface index of a zone in Millrace's stack; 0 for none. */
export function indexOfZone(zone: string): number {
  if (zone === "" || side === null) return 0;
  const { stack } = side;
  const byNumber = /^\d{1,9}$/.test(zone) ? stack.interfaceByIndex(Number(zone)) : null;
  return (stack.interfaceByName(zone) ?? byNumber)?.index ?? 0;
}
