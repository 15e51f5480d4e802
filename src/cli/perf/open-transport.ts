/** Opens what `--nic` names: kernel sockets, Node.js's, a simulated link, or a device with a stack on it. */
import { IpAddress } from "../../base/ip-address.js";
import type { Interface } from "../../ip/interface.js";
import { monotonicUs } from "../../nic/clock.js";
import type { Device } from "../../nic/device.js";
import { simLink } from "../../nic/sim-link.js";
import { createPool } from "../../socket/create-host.js";
import { checkDevice, openDevice, TO_TALK } from "../../socket/open-device.js";
import { Stack } from "../../socket/stack.js";
import { KernelTransport } from "./kernel-transport.js";
import { NodeTransport } from "./node-transport.js";
import { StackTransport } from "./stack-transport.js";
import type { Transport } from "./transport.js";

export interface NicOptions {
  /** `kernel`, `node`, `sim`, or a device: `tap0`. */
  readonly nic: string;
  /** With prefix lengths: what the stack on a device is called. */
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  readonly mtuBytes: number | null;
}

/** A transport, and the other end's where both are in this process. */
export interface OpenTransport {
  readonly transport: Transport;
  /** `sim`: where the server is. */
  readonly far: StackTransport | null;
}

export const SIM_SERVER_4 = "10.0.0.2";

/** Throws `TypeError` for what makes no sense, `NetError` for what the system refuses. */
export function openTransport(o: NicOptions): OpenTransport {
  if (o.nic === "kernel" || o.nic === "node") {
    if (o.addresses.length > 0 || o.gateways.length > 0) {
      throw new TypeError(`--address and --gateway are for a NIC of Millrace's, not for ${o.nic}`);
    }
    return {
      transport: o.nic === "kernel" ? new KernelTransport() : new NodeTransport(),
      far: null,
    };
  }
  if (o.nic === "sim") return openSim();
  if (o.addresses.length === 0) {
    throw new TypeError(`--nic ${o.nic} needs --address, such as --address 10.0.0.2/24`);
  }
  for (const address of o.addresses) checkPrefix(address);
  checkDevice(o.nic); // what only has to come is waited for
  const { device, pool } = openDevice(o.nic, TO_TALK);
  const stack = new Stack({ pool, nowUs: monotonicUs() });
  try {
    const iface = addInterface(stack, device, o.addresses, o.mtuBytes);
    for (const gateway of o.gateways) addGateway(stack, gateway);
    const transport = new StackTransport(device.name, stack, iface, () => pool.close());
    return { transport, far: null };
  } catch (error) {
    stack.close();
    device.close();
    pool.close();
    throw error;
  }
}

function addInterface(
  stack: Stack,
  device: Device,
  addresses: readonly string[],
  mtuBytes: number | null,
): Interface {
  const mtu = mtuBytes === null ? {} : { mtuBytes };
  const iface = stack.ip.addInterface(device, { addresses, ...mtu });
  // Groups have no route of their own where there is no gateway.
  for (const destination of ["224.0.0.0/4", "ff00::/8"]) stack.ip.addRoute({ destination, iface });
  return iface;
}

function addGateway(stack: Stack, gateway: string): void {
  const destination = gateway.includes(":") ? "::/0" : "0.0.0.0/0";
  if (stack.ip.addRoute({ destination, gateway }) >= 0) return;
  throw new TypeError(`--gateway ${gateway}: expected an address on the network of --address`);
}

function checkPrefix(text: string): void {
  const [address, bits] = text.split("/");
  const isOne = IpAddress.tryParse(address ?? "") !== null && /^\d{1,3}$/.test(bits ?? "");
  if (isOne) return;
  throw new TypeError(
    `--address: expected an address with its prefix length such as 10.0.0.2/24, got ${text}`,
  );
}

/** Two stacks in this process; a turn of the client's is one of the server's too. */
function openSim(): OpenTransport {
  const pool = createPool({ smallSlots: 65_536, bigSlots: 1024 });
  const link = simLink(pool, pool, { queueFrames: 65_536 });
  const end = (device: Device, n: number, onClose: () => void): StackTransport => {
    const stack = new Stack({ pool, nowUs: monotonicUs() });
    const addresses = [`10.0.0.${n}/24`, `fd00::${n}/64`];
    return new StackTransport("sim", stack, addInterface(stack, device, addresses, null), onClose);
  };
  const far = end(link.b, 2, () => {});
  const near = end(link.a, 1, () => {
    far.close();
    pool.close();
  });
  return { transport: near, far };
}
