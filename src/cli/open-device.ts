/**
 * Opens a device by its specification on the command line, `KIND:NAME`. To add a kind: a function
 * and a row in {@link KINDS}.
 */
import type { Device } from "../nic/device.js";
import { openMemif } from "../nic/memif.js";
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
    takes: "the path of a control socket; `server:` before it listens there",
    open: (name, pool, { offload }) => {
      const isServer = name.startsWith("server:");
      const path = isServer ? name.slice("server:".length) : name;
      return {
        device: openMemif(pool, { path, role: isServer ? "server" : "client", offload }),
        pool,
        isFinished: () => false,
        complaint: () => null,
      };
    },
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

/** The kinds for help texts: `tap:NAME (the name of a TAP interface)`. */
export function deviceKinds(): string {
  return Object.entries(KINDS)
    .map(([kind, { takes }]) => `${kind}:NAME (${takes})`)
    .join(", ");
}
