/**
 * A Millrace host beside Linux for interop tests: a TAP in this namespace (or what `test-link.ts` was
 * told), Linux at one end, a host at the other, and everything that passes recorded. `close` hands the capture to tshark and fails
 * when a packet is malformed or a checksum is bad.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CaptureWriter } from "../../src/nic/capture-writer.js";
import type { Device } from "../../src/nic/device.js";
import { FaultInjector, type FaultInjectorOptions } from "../../src/nic/fault-injector.js";
import type { Pool } from "../../src/ring/pool.js";
import { createHost, createPool, type HostOptions } from "../../src/socket/create-host.js";
import type { Host } from "../../src/socket/host.js";
import { assertCleanCapture, fieldOf, packets } from "./capture.js";
import { ip, sysctl } from "./namespace.js";
import { openTestLink } from "./test-link.js";

/** Addresses of the two ends. */
export const LINUX4 = "10.7.0.1";
export const LINUX6 = "fd07::1";
export const HOST4 = "10.7.0.2";
export const HOST6 = "fd07::2";

/** For people who want to look: MILLRACE_KEEP_CAPTURES=1 leaves the files and prints their names. */
const KEEP = process.env.MILLRACE_KEEP_CAPTURES === "1";

export interface TapHostOptions {
  readonly faults?: FaultInjectorOptions;
  /** Bulk transfers are not recorded: the file would be as large as what they move. */
  readonly capture?: boolean;
  readonly offload?: boolean;
  readonly mtuBytes?: number;
  /** Of the interface, for a TAP that somebody has made before. */
  readonly tapName?: string;
  /** Gives Linux its addresses on the TAP; true if not given. */
  readonly addresses?: boolean;
  readonly host?: Partial<HostOptions>;
}

export interface TapHost {
  readonly host: Host;
  readonly pool: Pool;
  readonly tapName: string;
  readonly recording: Recording;
  /** Ends the host and has the capture judged. */
  close(): void;
}

/** What passes a device, in a file that goes when the process ends at the latest. */
export class Recording {
  private readonly folder = mkdtempSync(join(tmpdir(), "millrace-interop-"));
  readonly file = join(this.folder, "capture.pcapng");
  private readonly fd = openSync(this.file, "w");
  private readonly removeAtExit = (): void => {
    if (KEEP) console.log(`kept: ${this.file}`);
    else rmSync(this.folder, { recursive: true, force: true });
  };
  private writer: CaptureWriter | null = null;

  constructor() {
    process.once("exit", this.removeAtExit);
  }

  /** The device, recorded. */
  of(device: Device, pool: Pool): Device {
    const sink = { isReady: true, write: (b: Uint8Array) => void writeSync(this.fd, b) };
    this.writer = new CaptureWriter(device, pool, sink);
    return this.writer;
  }

  /** Packets so far that match, one summary line each. */
  packets(filter: string): string[] {
    this.writer?.recorder.writeNow();
    return packets(this.file, filter);
  }

  /** The values of a field in the packets so far that match. */
  fieldOf(field: string, filter: string): string[] {
    this.writer?.recorder.writeNow();
    return fieldOf(this.file, field, filter);
  }

  /** Has the capture judged; its device is closed. */
  end(): void {
    closeSync(this.fd);
    process.off("exit", this.removeAtExit);
    try {
      if (this.writer !== null) assertCleanCapture(this.file);
    } finally {
      this.removeAtExit();
    }
  }
}

/** The kernel would be silent on a new interface until its link-local address is no duplicate. */
export function quietInterfaces(): void {
  for (const name of ["accept_dad", "dad_transmits"]) sysctl(`net.ipv6.conf.default.${name}`, 0);
}

export function tapHost(options: TapHostOptions = {}): TapHost {
  const pool = createPool();
  quietInterfaces();
  const link = openTestLink(pool, {
    ...(options.mtuBytes === undefined ? {} : { mtuBytes: options.mtuBytes }),
    ...(options.tapName === undefined ? {} : { name: options.tapName }),
    offload: options.offload ?? true,
  });
  if (options.addresses ?? true) {
    ip("address", "add", `${LINUX4}/24`, "dev", link.linuxName);
    ip("address", "add", `${LINUX6}/64`, "dev", link.linuxName, "nodad");
  }
  const recording = new Recording();
  let { device }: { device: Device } = link;
  if (options.capture ?? true) device = recording.of(device, pool);
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
    recording.end();
  };
  return { host, pool, tapName: link.linuxName, recording, close };
}
