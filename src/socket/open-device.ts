/**
 * Opens a device by its specification on a command line or in the environment, `KIND:NAME[,setting…]`, with an
 * XDP program in front when `,xdp=FILE` follows (nic/program-settings.ts). To add a kind: a function and a row in
 * {@link KINDS}.
 */
import { accessSync, constants } from "node:fs";
import { dirname } from "node:path";
import type { Device } from "../nic/device.js";
import { type MemifOptions, openMemif } from "../nic/memif.js";
import { openPacket } from "../nic/packet.js";
import { openPcap } from "../nic/pcap-device.js";
import {
  addRedirectPort,
  attachSettings,
  type ProgramSettings,
  splitProgram,
  type Tracing,
} from "../nic/program-settings.js";
import { requireInterface } from "../nic/require-interface.js";
import { openTap } from "../nic/tap.js";
import { openXdp, type XdpOptions } from "../nic/xdp.js";
import type { Pool } from "../ring/pool.js";
import { createPool } from "./create-host.js";
import { MEMIF_SETTINGS, readDevice, whyNoDeviceText, XDP_SETTINGS } from "./device-settings.js";

/** A device with the pool of its own that its frames are in; whoever opens it closes both. */
export interface OpenDevice {
  readonly device: Device;
  readonly pool: Pool;
  /** Nothing more will be received. */
  readonly isFinished: () => boolean;
  /** Why it finished early, or null. */
  readonly complaint: () => string | null;
}

/** What a device is opened for. */
export interface DeviceUse {
  readonly smallSlots: number;
  readonly bigSlots: number;
  /** Address space for memory that is mapped later, as `createPool` has it. */
  readonly peerBytes?: number;
  /** The pool to use instead of one of the device's own; it stays open when opening fails. */
  readonly pool?: Pool;
  /** Frames pass with checksums unmade and segments unsplit where the device can; not for captures. */
  readonly offload: boolean;
  /** For XDP programs with engine=trace. */
  readonly tracing?: Tracing;
}

/** To look at frames as they are on a wire. */
const TO_WATCH: DeviceUse = { smallSlots: 4096, bigSlots: 64, offload: false };
/** To be a host: memory is taken when a slot is first used. */
export const TO_TALK: DeviceUse = { smallSlots: 65_536, bigSlots: 1024, offload: true };

interface DeviceKind {
  readonly takes: string;
  readonly open: (name: string, pool: Pool, use: DeviceUse) => OpenDevice;
  /** Throws what opening would throw for a name that makes no sense, or names nothing. */
  readonly check: (name: string) => void;
}

const KINDS: Readonly<Record<string, DeviceKind>> = {
  tap: {
    takes: "the name of a TAP interface",
    check: () => {}, // it is made
    open: (name, pool, { offload }) => plain(openTap(pool, { name, offload }), pool),
  },
  memif: {
    takes: "a memif socket's path, then maybe ,role=server ,id=N ,secret=TEXT",
    check: (name) => requireFolder(memifOptions(name, true).path),
    open: (name, pool, { offload }) => plain(openMemif(pool, memifOptions(name, offload)), pool),
  },
  xdp: {
    takes: "an interface, received through AF_XDP instead of by the kernel; ,queue=N ,mode=generic",
    check: (name) => requireInterface(xdpOptions(name).interface),
    open: (name, pool) => plain(openXdp(pool, xdpOptions(name)), pool),
  },
  packet: {
    takes: "an interface, through AF_PACKET; the kernel receives its frames, too",
    check: (name) => requireInterface(name),
    open: (name, pool, { offload }) => plain(openPacket(pool, { interface: name, offload }), pool),
  },
  pcap: {
    takes: "a capture file, replayed at its own pace",
    check: (name) => accessSync(name, constants.R_OK),
    open: (name, pool) => {
      const device = openPcap(pool, { name, replay: name });
      return {
        device,
        pool,
        isFinished: () => device.isFinished,
        complaint: () => device.error,
      };
    },
  },
};

/** A device that goes on for ever. */
function plain(device: Device, pool: Pool): OpenDevice {
  return { device, pool, isFinished: () => false, complaint: () => null };
}

/** A memif client waits for its socket, which may come any time; but nobody makes the folder. Throws the system's error. */
function requireFolder(path: string): void {
  if (!path.startsWith("@")) accessSync(dirname(path)); // abstract: in no folder
}

/** `server:PATH` is short for `PATH,role=server`. */
function memifOptions(text: string, offload: boolean): MemifOptions {
  const isServer = text.startsWith("server:");
  const { name, settings } = readDevice<MemifOptions>(
    "memif",
    isServer ? text.slice("server:".length) : text,
    MEMIF_SETTINGS,
  );
  return { path: name, offload, ...(isServer ? { role: "server" } : {}), ...settings };
}

/** `eth1,queue=2,mode=native`. Throws `TypeError` for other words. */
export function xdpOptions(text: string): XdpOptions {
  const { name, settings } = readDevice<XdpOptions>("xdp", text, XDP_SETTINGS);
  return { interface: name, ...settings };
}

/**
 * Opens `tap:NAME`; `tapNAME` is short for `tap:tapNAME`. Throws `TypeError` for a specification
 * that is none, `NetError` or Node's own when the system refuses.
 */
export function openDevice(specification: string, use: DeviceUse = TO_WATCH): OpenDevice {
  const { device, program } = splitProgram(specification);
  if (program === null) return openPlain(device, use, null);
  // A program sees frames as they are on a wire.
  return openPlain(device, { ...use, offload: false }, program);
}

/**
 * Whether a specification makes sense and names what is there, without opening it. Throws as
 * {@link openDevice} does; that may still fail, for want of privilege or because somebody has the device.
 */
export function checkDevice(specification: string): void {
  const { device, program } = splitProgram(specification);
  const [kind, name] = kindOf(device);
  kind.check(name);
  for (const file of program === null ? [] : [program.file, ...program.maps.map(([, f]) => f)]) {
    accessSync(file, constants.R_OK);
  }
}

/** Throws `TypeError` for what makes no sense whatever there is on the machine. Without a program. */
export function checkSpecification(specification: string): void {
  kindOf(specification);
}

function kindOf(specification: string): readonly [kind: DeviceKind, name: string] {
  const spec = /^tap[^:]*$/.test(specification) ? `tap:${specification}` : specification;
  const colon = spec.indexOf(":");
  const kind = Object.hasOwn(KINDS, spec.slice(0, colon)) ? KINDS[spec.slice(0, colon)] : undefined;
  const name = spec.slice(colon + 1);
  if (colon >= 0 && kind !== undefined && name !== "") {
    const why = whyNoDeviceText(spec);
    if (why !== "") throw new TypeError(why);
    return [kind, name];
  }
  const isName = /^[\w.-]+$/.test(spec);
  const meant = isName ? ` (an interface is packet:${spec} or xdp:${spec})` : "";
  throw new TypeError(
    `expected a device like tap:tap0, got ${JSON.stringify(specification)}${meant}; kinds: ${deviceKinds()}`,
  );
}

function openPlain(
  specification: string,
  use: DeviceUse,
  program: ProgramSettings | null,
): OpenDevice {
  const [kind, name] = kindOf(specification);
  const { smallSlots, bigSlots, peerBytes } = use;
  const given = use.pool ?? null;
  const pool =
    given ??
    createPool({ smallSlots, bigSlots, ...(peerBytes === undefined ? {} : { peerBytes }) });
  try {
    const opened = kind.open(name, pool, use);
    if (program === null) addRedirectPort(opened.device, pool);
    return program === null ? opened : withProgram(opened, program, use);
  } catch (error) {
    if (given === null) pool.close();
    throw error;
  }
}

function withProgram(
  opened: OpenDevice,
  program: ProgramSettings,
  { tracing }: DeviceUse,
): OpenDevice {
  try {
    return { ...opened, device: attachSettings(opened.device, opened.pool, program, tracing) };
  } catch (error) {
    opened.device.close();
    throw error;
  }
}

/** The kinds for help texts: `tap:NAME (the name of a TAP interface)`. */
export function deviceKinds(): string {
  return Object.entries(KINDS)
    .map(([kind, { takes }]) => `${kind}:NAME (${takes})`)
    .join(", ");
}
