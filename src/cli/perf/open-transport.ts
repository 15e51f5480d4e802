/** Opens what `--nic` names: kernel sockets, Node.js's, a simulated link, or a device with a stack on it. */
import { IpAddress } from "../../base/ip-address.js";
import { monotonicUs } from "../../base/time.js";
import { simLink } from "../../nic/sim-link.js";
import { createPool } from "../../socket/create-host.js";
import { Stack } from "../../socket/stack.js";
import { openDevice, TO_TALK } from "../open-device.js";
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
export const SIM_SERVER_6 = "fd00::2";

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
  const { device, pool } = openDevice(o.nic, TO_TALK);
  const stack = new Stack({ pool, nowUs: monotonicUs() });
  try {
    const mtu = o.mtuBytes === null ? {} : { mtuBytes: o.mtuBytes };
    const iface = stack.ip.addInterface(device, { addresses: o.addresses, ...mtu });
    for (const gateway of o.gateways) addGateway(stack, gateway);
    // Groups have no route of their own where there is no gateway.
    for (const destination of ["224.0.0.0/4", "ff00::/8"])
      stack.ip.addRoute({ destination, iface });
  } catch (error) {
    stack.close();
    throw error;
  }
  const transport = new StackTransport(device.name, stack, device, () => pool.close());
  return { transport, far: null };
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
  const stackOf = (device: typeof link.a, n: number): Stack => {
    const stack = new Stack({ pool, nowUs: monotonicUs() });
    const addresses = [`10.0.0.${n}/24`, `fd00::${n}/64`];
    const iface = stack.ip.addInterface(device, { addresses });
    for (const destination of ["224.0.0.0/4", "ff00::/8"])
      stack.ip.addRoute({ destination, iface });
    return stack;
  };
  const far = new StackTransport("sim", stackOf(link.b, 2), link.b, () => {});
  const near = new StackTransport("sim", stackOf(link.a, 1), link.a, () => {
    far.close();
    pool.close();
  });
  return { transport: near, far };
}
