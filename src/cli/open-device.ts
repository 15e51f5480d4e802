/**
 * Opens a device by its specification on the command line, `KIND:NAME`. To add a kind: a function
 * and a row in {@link KINDS}.
 */
import type { Device } from "../nic/device.js";
import { type MemifOptions, openMemif } from "../nic/memif.js";
import { openPcap } from "../nic/pcap-device.js";
import { openTap } from "../nic/tap.js";
import type { Pool } from "../ring/pool.js";
import { createPool } from "../socket/create-host.js";

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
  /** Frames pass with checksums unmade and segments unsplit where the device can; not for captures. */
  readonly offload: boolean;
}

/** To look at frames as they are on a wire. */
const TO_WATCH: DeviceUse = { smallSlots: 4096, bigSlots: 64, offload: false };
/** To be a host: memory is taken when a slot is first used. */
export const TO_TALK: DeviceUse = { smallSlots: 65_536, bigSlots: 1024, offload: true };

type Opener = (name: string, pool: Pool, use: DeviceUse) => OpenDevice;

const KINDS: Readonly<Record<string, { readonly takes: string; readonly open: Opener }>> = {
  tap: {
    takes: "the name of a TAP interface",
    open: (name, pool, { offload }) => ({
      device: openTap(pool, { name, offload }),
      pool,
      isFinished: () => false,
      complaint: () => null,
    }),
  },
  memif: {
    takes: "a memif socket's path, then maybe ,role=server ,id=N ,secret=TEXT",
    open: (name, pool, { offload }) => ({
      device: openMemif(pool, { ...memifOptions(name), offload }),
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
export function openDevice(specification: string, use: DeviceUse = TO_WATCH): OpenDevice {
  const spec = /^tap[^:]*$/.test(specification) ? `tap:${specification}` : specification;
  const colon = spec.indexOf(":");
  const kind = Object.hasOwn(KINDS, spec.slice(0, colon)) ? KINDS[spec.slice(0, colon)] : undefined;
  const name = spec.slice(colon + 1);
  if (colon < 0 || kind === undefined || name === "") {
    throw new TypeError(
      `expected a device like tap:tap0, got ${JSON.stringify(specification)}; kinds: ${deviceKinds()}`,
    );
  }
  const { smallSlots, bigSlots } = use;
  const pool = createPool({ smallSlots, bigSlots });
  try {
    return kind.open(name, pool, use);
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
