/**
 * A link between a device of Millrace and Linux in this namespace: a TAP, or one end of a veth behind
 * AF_XDP or AF_PACKET, whose other end is Linux's. MILLRACE_TEST_LINK chooses what tests that do not
 * care run over: `tap` (the default), `xdp-generic`, `xdp-native`, `packet`.
 */
import type { Device } from "../../src/nic/device.js";
import { openPacket } from "../../src/nic/packet.js";
import { openTap } from "../../src/nic/tap.js";
import { openXdp } from "../../src/nic/xdp.js";
import type { Pool } from "../../src/ring/pool.js";
import { ip, sysctl } from "./namespace.js";

export type LinkKind = "tap" | "xdp-generic" | "xdp-native" | "packet";

export const LINK = (process.env.MILLRACE_TEST_LINK ?? "tap") as LinkKind;

export interface TestLink {
  readonly device: Device;
  /** The interface that Linux's end is. */
  readonly linuxName: string;
}

export interface TestLinkOptions {
  /** Linux's interface; for a TAP it may exist already. */
  readonly name?: string;
  readonly mtuBytes?: number;
  readonly offload?: boolean;
}

let veths = 0;

/** Opens a link of the chosen kind; its interfaces go with the namespace. */
export function openTestLink(pool: Pool, options: TestLinkOptions, kind = LINK): TestLink {
  const { name, mtuBytes, offload = true } = options;
  if (kind === "tap") {
    const mtu = mtuBytes === undefined ? {} : { mtuBytes };
    const device = openTap(pool, { ...mtu, ...(name === undefined ? {} : { name }), offload });
    return { device, linuxName: device.name };
  }
  const linuxName = name ?? `mrv${veths}l`;
  const ours = `mrv${veths++}d`;
  addVeth(ours, linuxName, mtuBytes);
  const mode = kind === "xdp-native" ? "native" : "generic";
  const device =
    kind === "packet"
      ? openPacket(pool, { interface: ours, offload })
      : openXdp(pool, { interface: ours, mode });
  return { device, linuxName };
}

/** Two ends of a veth, both up; the kernel has no address of its own on ours. */
export function addVeth(ours: string, linuxName: string, mtuBytes = 1_500, queues = 1): void {
  const n = ["numrxqueues", `${queues}`, "numtxqueues", `${queues}`];
  ip("link", "add", ours, ...n, "type", "veth", "peer", "name", linuxName, ...n);
  sysctl(`net.ipv6.conf.${ours}.disable_ipv6`, 1);
  for (const end of [ours, linuxName]) ip("link", "set", end, "mtu", `${mtuBytes}`, "up");
}
