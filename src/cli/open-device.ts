/**
 * Opens a device by its specification on the command line, `KIND:NAME`. To add a kind: a function
 * and a row in {@link KINDS}.
 */
import type { Device } from "../nic/device.js";
import { type MemifOptions, openMemif } from "../nic/memif.js";
import { openPcap } from "../nic/pcap-device.js";
import { openTap } from "../nic/tap.js";
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
/** Address space for the memory of a memif client; see docs/memif.md. */
const PEER_BYTES = 1 << 30;
/** Columns of metadata, and alignment. */
const EXTRA_BYTES_PER_SLOT = 128;

type Opener = (name: string, pool: Pool) => OpenDevice;

const KINDS: Readonly<Record<string, { readonly takes: string; readonly open: Opener }>> = {
  tap: {
    takes: "the name of a TAP interface",
    // Without offloads every frame is as on a wire, checksums included.
    open: (name, pool) => ({
      device: openTap(pool, { name, offload: false }),
      pool,
      isFinished: () => false,
      complaint: () => null,
    }),
  },
  memif: {
    takes: "a memif socket's path, then maybe ,role=server ,id=N ,secret=TEXT",
    open: (name, pool) => ({
      device: openMemif(pool, memifOptions(name)),
      pool,
      isFinished: () => false,
      complaint: () => null,
    }),
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

/** `PATH,role=server,id=3`, which is what DPDK's users are used to. Throws `TypeError`. */
function memifOptions(text: string): MemifOptions {
  const [path = "", ...settings] = text.split(",");
  const options: Record<string, string | number | boolean> = { path };
  for (const setting of settings) {
    const [key = "", value = ""] = setting.split(/=(.*)/s);
    const read = Object.hasOwn(MEMIF_SETTINGS, key) ? MEMIF_SETTINGS[key] : undefined;
    const result = read?.(value);
    if (result === undefined) {
      const known = Object.keys(MEMIF_SETTINGS).join(", ");
      throw new TypeError(`memif: expected ${known} with a value, got ${JSON.stringify(setting)}`);
    }
    options[key] = result;
  }
  return options as unknown as MemifOptions;
}

const numberIn = (text: string): number | undefined =>
  /^\d{1,10}$/.test(text) ? Number(text) : undefined;

/** What may be said of a memif device; undefined for a value that makes no sense. */
const MEMIF_SETTINGS: Readonly<Record<string, (text: string) => string | number | undefined>> = {
  role: (text) => (text === "server" || text === "client" ? text : undefined),
  id: numberIn,
  secret: (text) => text,
  name: (text) => text,
  queuePairs: numberIn,
  ringSize: numberIn,
  mtuBytes: numberIn,
};

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
  const arena = new Arena(bytes + PEER_BYTES + 64 * 1024);
  return new Pool(new PoolMemory(arena, { smallSlots: SMALL_SLOTS, bigSlots: BIG_SLOTS }));
}
