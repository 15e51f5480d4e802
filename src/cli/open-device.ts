/**
 * Opens a device by its specification on the command line, `KIND:NAME`. To add a kind: a function
 * and a row in {@link KINDS}.
 */
import type { Device } from "../nic/device.js";
import { openPacket } from "../nic/packet.js";
import { openPcap } from "../nic/pcap-device.js";
import { openTap } from "../nic/tap.js";
import { openXdp, type XdpOptions } from "../nic/xdp.js";
import { Arena } from "../ring/arena.js";
import { BIG_SLOT_BYTES, Pool, PoolMemory, SMALL_SLOT_BYTES } from "../ring/pool.js";

/** A device with the pool of its own that its frames are in; whoever opens it closes both. */
export interface OpenDevice {
  readonly device: Device;
  readonly pool: Pool;
  /** Nothing more will be received. */
  readonly isFinished: () => boolean;
  /** Why it finished early, or null. */
  readonly complaint: () => string | null;
}

const SMALL_SLOTS = 4096;
const BIG_SLOTS = 32;
/** Columns of metadata, and alignment. */
const EXTRA_BYTES_PER_SLOT = 128;

type Opener = (name: string, pool: Pool) => OpenDevice;

const KINDS: Readonly<Record<string, { readonly takes: string; readonly open: Opener }>> = {
  tap: {
    takes: "the name of a TAP interface",
    // Without offloads every frame is as on a wire, checksums included.
    open: (name, pool) => plain(openTap(pool, { name, offload: false }), pool),
  },
  xdp: {
    takes: "an interface, received through AF_XDP instead of by the kernel; ,queue=N,mode=generic",
    open: (name, pool) => plain(openXdp(pool, xdpOptions(name)), pool),
  },
  packet: {
    takes: "an interface, through AF_PACKET; the kernel receives its frames, too",
    open: (name, pool) => plain(openPacket(pool, { interface: name, offload: false }), pool),
  },
  pcap: {
    takes: "a capture file, replayed at its own pace",
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

/** `eth1,queue=2,mode=native`. Throws `TypeError` for other words. */
export function xdpOptions(text: string): XdpOptions {
  const [name, ...settings] = text.split(",");
  let options: XdpOptions = { interface: name! };
  for (const setting of settings) {
    const [key, value] = setting.split("=") as [string, string | undefined];
    if (key === "queue" && value !== undefined && /^\d+$/.test(value)) {
      options = { ...options, queue: Number(value) };
    } else if (key === "mode" && isMode(value)) {
      options = { ...options, mode: value };
    } else if (key === "shared" && value === undefined) {
      options = { ...options, shared: true };
    } else {
      throw new TypeError(
        `expected queue=N, mode=auto|native|generic or shared after ${name}, got ${JSON.stringify(setting)}`,
      );
    }
  }
  return options;
}

const isMode = (text: string | undefined): text is "auto" | "native" | "generic" =>
  text === "auto" || text === "native" || text === "generic";

/**
 * Opens `tap:NAME`; `tapNAME` is short for `tap:tapNAME`. Throws `TypeError` for a specification
 * that is none, `NetError` or Node's own when the system refuses.
 */
export function openDevice(specification: string): OpenDevice {
  const spec = /^tap[^:]*$/.test(specification) ? `tap:${specification}` : specification;
  const colon = spec.indexOf(":");
  const kind = Object.hasOwn(KINDS, spec.slice(0, colon)) ? KINDS[spec.slice(0, colon)] : undefined;
  const name = spec.slice(colon + 1);
  if (colon < 0 || kind === undefined || name === "") {
    throw new TypeError(
      `expected a device like tap:tap0, got ${JSON.stringify(specification)}; kinds: ${deviceKinds()}`,
    );
  }
  const pool = makePool();
  try {
    return kind.open(name, pool);
  } catch (error) {
    pool.close();
    throw error;
  }
}

/** The kinds for help texts: `tap:NAME (the name of a TAP interface)`. */
export function deviceKinds(): string {
  return Object.entries(KINDS)
    .map(([kind, { takes }]) => `${kind}:NAME (${takes})`)
    .join(", ");
}

function makePool(): Pool {
  const slots = SMALL_SLOTS + BIG_SLOTS;
  const bytes =
    SMALL_SLOTS * SMALL_SLOT_BYTES + BIG_SLOTS * BIG_SLOT_BYTES + slots * EXTRA_BYTES_PER_SLOT;
  const arena = new Arena(bytes + 64 * 1024);
  return new Pool(new PoolMemory(arena, { smallSlots: SMALL_SLOTS, bigSlots: BIG_SLOTS }));
}
