/** Devices on the pool that hosts of this thread share, so that users need not know of pools. */
import {
  type AttachedProgram,
  type AttachOptions,
  attachProgram as attachProgramOn,
} from "../nic/attach-program.js";
import type { Device } from "../nic/device.js";
import { type MemifDevice, type MemifOptions, openMemif as openMemifOn } from "../nic/memif.js";
import { openPacket as openPacketOn, type PacketOptions } from "../nic/packet.js";
import type { PacketDevice } from "../nic/packet-device.js";
import { openPcap as openPcapOn, type PcapDevice, type PcapFiles } from "../nic/pcap-device.js";
import { simLink as joinPools, type SimDevice, type SimLinkOptions } from "../nic/sim-link.js";
import { openTap as openTapOn, type TapDevice, type TapOptions } from "../nic/tap.js";
import {
  openXdp as openXdpOn,
  openXdpQueues as openXdpQueuesOn,
  type XdpOptions,
} from "../nic/xdp.js";
import type { XdpDevice } from "../nic/xdp-device.js";
import type { Pool } from "../ring/pool.js";
import { sharedPool } from "./create-host.js";

/**
 * The two ends of a virtual link: put a host on each. Give `pool` only if the hosts have one of
 * their own.
 */
export function simLink(options: SimLinkOptions & { readonly pool?: Pool } = {}): {
  a: SimDevice;
  b: SimDevice;
} {
  const { pool = sharedPool(), ...rest } = options;
  return joinPools(pool, pool, rest);
}

/**
 * A link to the Linux kernel: an existing TAP interface, or a new one (which takes CAP_NET_ADMIN, or
 * a user and network namespace of one's own). Throws `NetError`: EPERM, EBUSY, ENODEV.
 */
export function openTap(options: TapOptions & { readonly pool?: Pool } = {}): TapDevice {
  const { pool = sharedPool(), ...rest } = options;
  return openTapOn(pool, rest);
}

/**
 * A link to another process through shared memory, which speaks memif as DPDK and VPP do. It comes up
 * when the peer is there, and again after the peer has died and come back. Throws `NetError`:
 * EADDRINUSE, EACCES, EBUSY.
 */
export function openMemif(options: MemifOptions & { readonly pool?: Pool }): MemifDevice {
  const { pool = sharedPool(), ...rest } = options;
  return openMemifOn(pool, rest);
}

/**
 * An interface of Linux through AF_XDP: owned, or shared with the kernel (docs/xdp.md). All of the
 * pool's small slots are locked in memory. Throws `NetError`: EPERM, EBUSY, ENODEV, EOPNOTSUPP.
 */
export function openXdp(options: XdpOptions & { readonly pool?: Pool }): XdpDevice {
  const { pool = sharedPool(), ...rest } = options;
  return openXdpOn(pool, rest);
}

/** As {@link openXdp}, one device for each receive queue. */
export function openXdpQueues(options: XdpOptions & { readonly pool?: Pool }): XdpDevice[] {
  const { pool = sharedPool(), ...rest } = options;
  return openXdpQueuesOn(pool, rest);
}

/**
 * An interface of Linux through AF_PACKET, for where XDP is not to be had (docs/xdp.md). Throws
 * `NetError`: EPERM, ENODEV, ENOMEM.
 */
export function openPacket(options: PacketOptions & { readonly pool?: Pool }): PacketDevice {
  const { pool = sharedPool(), ...rest } = options;
  return openPacketOn(pool, rest);
}

/**
 * A device over capture files: what it receives is replayed from one, what it sends is recorded in
 * the other. Throws what `fs.openSync` throws.
 */
export function openPcap(files: PcapFiles & { readonly pool?: Pool }): PcapDevice {
  const { pool = sharedPool(), ...rest } = files;
  return openPcapOn(pool, rest);
}

/**
 * Puts an XDP program (`parseObject` of `millrace/ebpf`) in front of a device, which must have been opened
 * with the same pool: each received frame is the program's first. Give the result to the host in the
 * device's place. Open TAP and memif devices with `offload: false`, so that frames are as on a wire. Throws
 * `EbpfError` for a program that cannot be used, with the verifier's reason, and `NetError` EINVAL for a
 * pool without room for its maps.
 */
export function attachProgram(
  device: Device,
  object: Parameters<typeof attachProgramOn>[2],
  options: AttachOptions & { readonly pool?: Pool } = {},
): AttachedProgram {
  const { pool = sharedPool(), ...rest } = options;
  return attachProgramOn(device, pool, object, rest);
}
