/**
 * `createHost`: a stack on devices, with addresses and routes, driven by a runner; and the pool that
 * hosts and devices share when the user does not care.
 */
import { EINVAL } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import type { RouteOptions } from "../ip/user-routes.js";
import type { Device } from "../nic/device.js";
import { shareFrames } from "../nic/shared-frames.js";
import { Arena } from "../ring/arena.js";
import { Pool, PoolMemory } from "../ring/pool.js";
import type { TcpSettings } from "../tcp/settings.js";
import { Host } from "./host.js";
import { type Runner, sharedRunner } from "./runner.js";
import { attachKernel } from "./shared-tcp.js";
import { Stack } from "./stack.js";

export interface PoolOptions {
  /** Slots of 2 KiB, for frames of an Ethernet MTU. */
  readonly smallSlots?: number;
  /** Slots of 68 KiB, for segments that pass unsplit. */
  readonly bigSlots?: number;
  /** The slots lie in memory that memif peers can map; see docs/memif.md. False by default. */
  readonly shared?: boolean;
  /** Address space for what memif clients show to this process; 1 GiB by default. */
  readonly peerBytes?: number;
}

/** Memory is taken when a slot is first used: the sizes are limits, not costs. */
const DEFAULT_SMALL_SLOTS = 65_536;
const DEFAULT_BIG_SLOTS = 4_096;

/** A pool in an arena of its own. */
export function createPool(options: PoolOptions = {}): Pool {
  const size = {
    smallSlots: slotCount(options.smallSlots ?? DEFAULT_SMALL_SLOTS, "smallSlots"),
    bigSlots: slotCount(options.bigSlots ?? DEFAULT_BIG_SLOTS, "bigSlots"),
  };
  const peerBytes = options.peerBytes ?? DEFAULT_PEER_BYTES;
  const sizeBytes = PoolMemory.sizeBytes(size) + ARENA_SLACK_BYTES + peerBytes;
  if (!(peerBytes >= 0 && sizeBytes <= MAX_ARENA_BYTES)) {
    throw new RangeError(
      `pool: expected slots and peerBytes of ${MAX_ARENA_BYTES} bytes at most in all, got ${sizeBytes}`,
    );
  }
  const pool = new Pool(new PoolMemory(new Arena(sizeBytes), size));
  if (options.shared === true) shareFrames(pool);
  return pool;
}

/** Two clients with pools of the default size, or many smaller ones. */
const DEFAULT_PEER_BYTES = 1 << 30;
/** Places in the arena are int32. */
const MAX_ARENA_BYTES = 0x7fff_0000;

const ARENA_SLACK_BYTES = 1 << 20;

function slotCount(n: number, name: string): number {
  if (Number.isInteger(n) && n >= 64) return n;
  throw new RangeError(`pool: expected ${name} of 64 or more, got ${n}`);
}

let shared: Pool | null = null;

/** The pool of this thread's hosts and devices unless they are given one of their own. */
export function sharedPool(): Pool {
  shared ??= createPool();
  return shared;
}

/** An interface: a device and what it is called and addressed. */
export interface InterfaceOptions {
  readonly device: Device;
  /** With prefix length: "10.0.0.2/24", "fd00::2/64". */
  readonly addresses?: readonly string[];
  readonly name?: string;
  /** At most what the device carries. */
  readonly mtuBytes?: number;
  /** Whether the interface gives itself an IPv6 link-local address. True by default. */
  readonly linkLocal?: boolean;
  /** Whether IPv6 addresses are checked for duplicates before use, for a second. False by default. */
  readonly detectDuplicates?: boolean;
  /**
   * Whether the kernel keeps the interface too: addresses, routes and neighbours are then the
   * kernel's, and Millrace gets what its sockets claim (docs/shared-interfaces.md). By default what
   * the device is: one with a flow filter is shared.
   */
  readonly shared?: boolean;
}

export interface HostOptions {
  /** For messages; `host` if not given. */
  readonly name?: string;
  /** The device of a host with one interface; the next options belong to it. */
  readonly device?: Device;
  readonly addresses?: readonly string[];
  readonly mtuBytes?: number;
  readonly linkLocal?: boolean;
  readonly detectDuplicates?: boolean;
  readonly shared?: boolean;
  /** A host with several interfaces. */
  readonly interfaces?: readonly InterfaceOptions[];
  /** Default routes: one gateway, or one per family. */
  readonly gateway?: string | readonly string[];
  readonly routes?: readonly RouteOptions[];
  /**
   * How long to poll without work before sleeping, in microseconds: 0 (the default) sleeps at once,
   * Infinity never sleeps.
   */
  readonly spinUs?: number;
  /** The pool that the devices were opened with; the thread's own if not given. */
  readonly pool?: Pool;
  /** Drives the host; the thread's own if not given. */
  readonly runner?: Runner;
  readonly tcp?: Partial<TcpSettings>;
  readonly maxConnections?: number;
  /** Makes a run repeatable. Only for simulations: secrets follow from it. */
  readonly seed?: number;
}

/**
 * Builds a host and starts it. Without a device it has its loopback interface only. Throws
 * `NetError` EINVAL for addresses and routes that make no sense, naming them; the devices are then
 * closed, as they are by `Host.close`.
 */
export function createHost(options: HostOptions = {}): Host {
  const runner = options.runner ?? sharedRunner();
  const spinUs = options.spinUs ?? 0;
  if (!(spinUs >= 0)) throw invalid(`expected spinUs of 0 or more, got ${spinUs}`);
  const interfaces = interfacesOf(options);
  for (const { device } of interfaces) checkUnclaimed(device);
  const stack = new Stack({
    pool: options.pool ?? sharedPool(),
    nowUs: runner.clock(),
    ...(options.tcp === undefined ? {} : { tcp: options.tcp }),
    ...(options.maxConnections === undefined ? {} : { maxConnections: options.maxConnections }),
    ...(options.seed === undefined ? {} : { seed: options.seed }),
  });
  try {
    configure(stack, interfaces, options);
  } catch (error) {
    stack.close();
    for (const { device } of interfaces) device.close();
    throw error;
  }
  const devices = interfaces.map((i) => i.device);
  for (const device of devices) claimed.add(device);
  return new Host(options.name ?? "host", stack, runner, devices, spinUs);
}

/** Devices that a host has, or had. */
const claimed = new WeakSet<Device>();

/** Two hosts on one device would take each other's frames. */
function checkUnclaimed(device: Device): void {
  if (claimed.has(device)) throw invalid(`device ${device.name} has been given to a host before`);
}

function configure(
  stack: Stack,
  interfaces: readonly InterfaceOptions[],
  options: HostOptions,
): void {
  for (const { device, ...settings } of interfaces) {
    if (settings.shared ?? device.filter !== undefined) {
      addShared(stack, device, settings);
      continue;
    }
    for (const address of settings.addresses ?? []) checkPrefix(address);
    stack.ip.addInterface(device, settings);
  }
  for (const gateway of gatewaysOf(options)) {
    const destination = gateway.includes(":") ? "::/0" : "0.0.0.0/0";
    addRoute(stack, { destination, gateway });
  }
  for (const route of options.routes ?? []) addRoute(stack, route);
}

/** Everything of a shared interface but its name is the kernel's. */
function addShared(stack: Stack, device: Device, settings: Omit<InterfaceOptions, "device">): void {
  const { name, addresses, mtuBytes, linkLocal, detectDuplicates } = settings;
  for (const set of [addresses, mtuBytes, linkLocal, detectDuplicates]) {
    if (set === undefined) continue;
    throw invalid(
      `${device.name} is shared with the kernel: its addresses and settings are the kernel's (ip address add … dev ${device.name}); expected none here, got ${JSON.stringify(set)}`,
    );
  }
  const kernel = stack.ip.kernel ?? attachKernel(stack);
  kernel.addInterface(device, name === undefined ? {} : { name });
}

function interfacesOf(options: HostOptions): InterfaceOptions[] {
  const all = [...(options.interfaces ?? [])];
  if (options.device !== undefined) {
    const { device, addresses, mtuBytes, linkLocal, detectDuplicates, shared } = options;
    all.unshift({
      device,
      ...(addresses === undefined ? {} : { addresses }),
      ...(mtuBytes === undefined ? {} : { mtuBytes }),
      ...(linkLocal === undefined ? {} : { linkLocal }),
      ...(detectDuplicates === undefined ? {} : { detectDuplicates }),
      ...(shared === undefined ? {} : { shared }),
    });
  } else if (options.addresses !== undefined) {
    throw invalid("addresses were given without a device; expected device, or interfaces");
  }
  return all;
}

function gatewaysOf(options: HostOptions): readonly string[] {
  if (options.gateway === undefined) return [];
  return typeof options.gateway === "string" ? [options.gateway] : options.gateway;
}

function addRoute(stack: Stack, route: RouteOptions): void {
  let result: number;
  try {
    result = stack.ip.addRoute(route);
  } catch (cause) {
    throw invalid(cause instanceof Error ? cause.message : String(cause)); // no address at all
  }
  if (result >= 0) return;
  const via = route.gateway === undefined ? "" : ` via gateway ${route.gateway}`;
  const hint = `route to ${route.destination}${via}: expected an interface of this host, or a gateway on the network of one of its addresses`;
  throw new NetError(result, { syscall: "createHost", hint });
}

function checkPrefix(text: string): void {
  if (/^[^/]+\/\d{1,3}$/.test(text)) return;
  throw invalid(`expected an address with its prefix length such as 10.0.0.2/24, got ${text}`);
}

const invalid = (hint: string): NetError => new NetError(EINVAL, { syscall: "createHost", hint });
