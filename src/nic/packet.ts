/**
 * AF_PACKET: frames of an interface of Linux through rings in shared memory (TPACKET_V2), for where
 * XDP is not to be had. A received frame is copied from the ring to a slot, a sent one from its slot
 * to the ring; the kernel is called once per batch to send, and never to receive (docs/xdp.md).
 *
 * The kernel still sees what is received. So an interface that Millrace has for itself should carry no
 * address of the kernel's: {@link PacketDevice.warnings} says when it does.
 *
 * Measured: echo of 64 bytes to a spinning client, half round trip, V2 3.7 µs, V3 about 500, because
 * V3 hands over blocks when they are full or their time is up (Linux 6.18, 2026-11).
 */
import { EINVAL } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import type { Pool } from "../ring/pool.js";
import * as sys from "../sys/packet-socket.js";
import { interfaceIsUp, interfaceMac, interfaceMtuBytes, setInterfaceUp } from "../sys/tap.js";
import { interfaceIndex } from "../sys/xdp-link.js";
import { PacketDevice } from "./packet-device.js";

/** Places of a ring with offload: each holds a segment of 64 KiB, the headers and the slack. */
const LONG_FRAME_BYTES = 69_632;
const LONG_RX_FRAMES = 128;
const LONG_TX_FRAMES = 64;
/** Bytes of both rings, in each direction, without offload. */
const SHORT_RING_BYTES = 1 << 21;
/** What lies before a frame in its place: header, address, alignment, virtio-net header. */
const PLACE_EXTRA_BYTES = 128;
/** Ethernet header and two VLAN tags. */
const LINK_BYTES = 22;
export interface PacketOptions {
  readonly interface: string;
  /**
   * Frames pass with checksums unmade and segments unsplit, both ways. True by default. Without it
   * every frame is as on a wire, except that a kernel at the far end of a veth may leave checksums.
   */
  readonly offload?: boolean;
  /** Six bytes: the address of this end. By default the interface's own. */
  readonly mac?: Uint8Array;
  /**
   * The NIC receives frames to every address. By default only when `mac` is not the interface's.
   */
  readonly promiscuous?: boolean;
  /**
   * Shares the interface, by flow, with the devices of the same number (0 to 65,535) in this network
   * namespace: one for each loop.
   */
  readonly fanoutGroup?: number;
  /** Brings the interface up when it is down. True by default. */
  readonly bringUp?: boolean;
}

/** Opens a device on an interface. Throws `NetError`, which says what is missing. */
export function openPacket(pool: Pool, options: PacketOptions): PacketDevice {
  const name = options.interface;
  const index = interfaceIndex(name);
  checkOptions(options);
  if ((options.bringUp ?? true) && !interfaceIsUp(name)) setInterfaceUp(name, true);
  const ownMac = interfaceMac(name);
  const mac = options.mac?.slice() ?? ownMac;
  const isPromiscuous = options.promiscuous ?? !mac.every((byte, i) => byte === ownMac[i]);
  const hasOffload = options.offload ?? true;
  const mtuBytes = interfaceMtuBytes(name);
  const socket = new sys.PacketSocket();
  try {
    if (hasOffload) socket.enableOffload();
    const sizes = ringSizes(hasOffload, mtuBytes);
    const rings = socket.makeRings(sizes.rx, sizes.tx);
    socket.ignoreOutgoing();
    socket.bypassQueues();
    socket.receiveAll(index, isPromiscuous);
    socket.bind(index);
    if (options.fanoutGroup !== undefined) socket.joinFanout(options.fanoutGroup);
    const parts = { socket, rings, ...sizes, index, mac, mtuBytes, hasOffload };
    return new PacketDevice(pool, name, parts);
  } catch (error) {
    socket.close();
    throw error;
  }
}

function checkOptions({ mac, fanoutGroup }: PacketOptions): void {
  if (mac !== undefined && (mac.length !== 6 || (mac[0]! & 1) !== 0)) {
    throw new RangeError(`mac: expected six bytes, not a group address, got ${mac}`);
  }
  if (fanoutGroup === undefined) return;
  if (Number.isInteger(fanoutGroup) && fanoutGroup >= 0 && fanoutGroup < 65_536) return;
  const hint = `expected a fanoutGroup from 0 to 65535, got ${fanoutGroup}`;
  throw new NetError(EINVAL, { syscall: "openPacket", hint });
}

interface RingSizes {
  readonly rx: sys.PacketRingSize;
  readonly tx: sys.PacketRingSize;
}

function ringSizes(hasOffload: boolean, mtuBytes: number): RingSizes {
  if (hasOffload) {
    const frameBytes = LONG_FRAME_BYTES;
    return {
      rx: { frameBytes, frames: LONG_RX_FRAMES },
      tx: { frameBytes, frames: LONG_TX_FRAMES },
    };
  }
  let frameBytes = 2_048;
  while (frameBytes < mtuBytes + LINK_BYTES + PLACE_EXTRA_BYTES) frameBytes *= 2;
  const size = { frameBytes, frames: SHORT_RING_BYTES / frameBytes };
  return { rx: size, tx: size };
}
