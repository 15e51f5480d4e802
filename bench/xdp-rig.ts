/** A polled stack with one UDP socket behind AF_XDP or AF_PACKET: what the xdp cases run on. */
import { ANY4 } from "../src/base/ip-address.js";
import { monotonicUs } from "../src/nic/clock.js";
import type { Device } from "../src/nic/device.js";
import { openPacket } from "../src/nic/packet.js";
import { openXdp } from "../src/nic/xdp.js";
import { createPool } from "../src/socket/create-host.js";
import { Family } from "../src/socket/linux-options.js";
import { Stack } from "../src/socket/stack.js";
import type { UdpSocket } from "../src/socket/udp-socket.js";

export interface XdpRig {
  readonly stack: Stack;
  readonly device: Device;
  readonly socket: UdpSocket;
}

/** `mode` is `generic`, `native` or `packet`; the socket is bound to `port`, 0 for any. */
export function openXdpRig(name: string, mode: string, address: string, port: number): XdpRig {
  const pool = createPool({ smallSlots: 8_192, bigSlots: 64 });
  const device =
    mode === "packet"
      ? openPacket(pool, { interface: name })
      : openXdp(pool, { interface: name, mode: mode as "generic" | "native" });
  const stack = new Stack({ pool, nowUs: monotonicUs() });
  stack.ip.addInterface(device, { addresses: [address], linkLocal: false });
  const socket = stack.udpSocket(Family.INET);
  const bound = socket.bind(ANY4, port);
  if (bound < 0) throw new Error(`cannot bind port ${port}: ${bound}`);
  return { stack, device, socket };
}
