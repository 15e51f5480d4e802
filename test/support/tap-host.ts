/**
 * A Millrace host beside Linux for interop tests: a TAP in this namespace, Linux at one end, a host
 * at the other, and everything that passes recorded. `close` hands the capture to tshark and fails
 * when a packet is malformed or a checksum is bad.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CaptureWriter } from "../../src/nic/capture-writer.js";
import type { Device } from "../../src/nic/device.js";
import { FaultInjector, type FaultInjectorOptions } from "../../src/nic/fault-injector.js";
import { openTap } from "../../src/nic/tap.js";
import type { Pool } from "../../src/ring/pool.js";
import { createHost, createPool, type HostOptions } from "../../src/socket/create-host.js";
import type { Host } from "../../src/socket/host.js";
import { assertCleanCapture } from "./capture.js";
import { ip } from "./namespace.js";

/** Addresses of the two ends. */
export const LINUX4 = "10.7.0.1";
export const LINUX6 = "fd07::1";
export const HOST4 = "10.7.0.2";
export const HOST6 = "fd07::2";

export interface TapHostOptions {
  readonly faults?: FaultInjectorOptions;
  /** Bulk transfers are not recorded: the file would be as large as what they move. */
  readonly capture?: boolean;
  /** Bytes of each packet to keep; whole packets if not given. */
  readonly offload?: boolean;
  readonly mtuBytes?: number;
  readonly host?: Partial<HostOptions>;
}

export interface TapHost {
  readonly host: Host;
  readonly pool: Pool;
  readonly tapName: string;
  readonly captureFile: string;
  /** Ends the host and has the capture judged. */
  close(): void;
}

export function tapHost(options: TapHostOptions = {}): TapHost {
  const pool = createPool();
  const tap = openTap(pool, {
    ...(options.mtuBytes === undefined ? {} : { mtuBytes: options.mtuBytes }),
    offload: options.offload ?? true,
  });
  ip("address", "add", `${LINUX4}/24`, "dev", tap.name);
  ip("address", "add", `${LINUX6}/64`, "dev", tap.name, "nodad");
  const folder = mkdtempSync(join(tmpdir(), "millrace-interop-"));
  const captureFile = join(folder, "capture.pcapng");
  const captures = options.capture ?? true;
  const captureFd = openSync(captureFile, "w");
  const sink = { isReady: true, write: (b: Uint8Array) => void writeSync(captureFd, b) };
  let device: Device = tap;
  if (captures) device = new CaptureWriter(device, pool, sink);
  if (options.faults !== undefined) device = new FaultInjector(device, pool, options.faults);
  const host = createHost({
    device,
    pool,
    addresses: [`${HOST4}/24`, `${HOST6}/64`],
    gateway: [LINUX4, LINUX6],
    ...options.host,
  });
  const close = (): void => {
    host.close();
    closeSync(captureFd);
    if (captures) assertCleanCapture(captureFile);
    rmSync(folder, { recursive: true });
  };
  return { host, pool, tapName: tap.name, captureFile, close };
}
