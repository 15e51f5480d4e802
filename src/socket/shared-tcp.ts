/**
 * TCP on interfaces that are shared with the kernel (`ip/kernel-side.ts`): every local port is held
 * in the kernel, a listener claims its port, a connection exactly its own segments.
 *
 * | what                | is held or claimed                    | until                              |
 * |---------------------|---------------------------------------|------------------------------------|
 * | port of `bind`      | in the kernel, as it was bound        | the last row with it is free       |
 * | port of `connect`   | in the kernel, once for all its peers | the last of them is free           |
 * | listener            | its port; in the kernel it listens    | it stops listening                 |
 * | connection          | its addresses and ports               | it is free: TIME-WAIT included     |
 *
 * A connection that a listener accepted keeps the listener's port held, as in Linux.
 */
import type { IpAddress } from "../base/ip-address.js";
import type { Claims, Hold, LocalEnd } from "../ip/claims.js";
import { KernelSide } from "../ip/kernel-side.js";
import { KernelNetwork, type KernelView } from "../nic/kernel-network.js";
import { type KernelHolds, kernelHolds } from "../nic/kernel-ports.js";
import type { Stack } from "./stack.js";
import { TCP_PROTOCOL } from "./tcp-input.js";
import { RowFlags, type TcpRows } from "./tcp-rows.js";

/** A port that the kernel holds for some rows. */
interface RowsHold {
  readonly hold: Hold;
  /** Of a port that connections share: its place in `forConnect`. */
  readonly key: string | null;
  rows: number;
}

/**
 * Lets a stack share interfaces with the kernel; `stack.ip.kernel.addInterface` then adds them.
 * Takes the view. Throws `NetError` when the kernel's network cannot be read.
 */
export function attachKernel(
  stack: Stack,
  view: KernelView = new KernelNetwork(),
  holds: KernelHolds = kernelHolds,
): KernelSide {
  const kernel = new KernelSide(stack.ip, view, holds);
  const shared = new SharedTcp(kernel.claims, stack.tcpRows);
  stack.ip.kernel = kernel;
  stack.tcpPorts.shared = shared;
  stack.tcpBind.shared = shared;
  stack.tcpHost.shared = shared;
  return kernel;
}

export class SharedTcp {
  private readonly claims: Claims;
  private readonly rows: TcpRows;
  /** By row. */
  private readonly held = new Map<number, RowsHold>();
  private readonly forConnect = new Map<string, RowsHold>();
  /** What listeners claim, by row. */
  private readonly listeners = new Map<number, LocalEnd>();

  constructor(claims: Claims, rows: TcpRows) {
    this.claims = claims;
    this.rows = rows;
  }

  concerns(row: number, address: IpAddress): boolean {
    return this.claims.concerns(address, this.rows.ifIndex[row]!);
  }

  /** Holds a port as the row's options say, with 0 one of the kernel's choice; or a negated error. */
  bind(row: number, address: IpAddress, port: number, isFree: (port: number) => boolean): number {
    const hold = this.claims.hold(
      {
        protocol: TCP_PROTOCOL,
        address,
        port,
        isV6only: this.rows.has(row, RowFlags.V6ONLY),
        reuseAddress: this.rows.has(row, RowFlags.REUSE_ADDRESS),
        reusePort: this.rows.has(row, RowFlags.REUSE_PORT),
        isHeld: this.rows.has(row, RowFlags.KERNEL_HOLDS),
      },
      this.rows.ifIndex[row]!,
      isFree,
    );
    if (typeof hold === "number") return hold;
    this.held.set(row, { hold, key: null, rows: 1 });
    return hold.port;
  }

  /** Holds a port for a connection; others from it may have it held already. 0 or a negated error. */
  holdForConnect(row: number, local: IpAddress, port: number): number {
    if (!this.concerns(row, local)) return 0;
    const key = `${local} ${port} ${this.rows.ifIndex[row]}`;
    const known = this.forConnect.get(key);
    if (known !== undefined) {
      known.rows++;
      this.held.set(row, known);
      return 0;
    }
    const request = {
      protocol: TCP_PROTOCOL,
      address: local,
      port,
      isV6only: false,
      reuseAddress: false,
      reusePort: false,
    };
    const hold = this.claims.hold(request, this.rows.ifIndex[row]!, () => true);
    if (typeof hold === "number") return hold;
    const fresh = { hold, key, rows: 1 };
    this.forConnect.set(key, fresh);
    this.held.set(row, fresh);
    return 0;
  }

  /** A connection has its listener's port. */
  inherit(row: number, listener: number): void {
    const of = this.held.get(listener);
    if (of === undefined) return;
    of.rows++;
    this.held.set(row, of);
  }

  /** The row gives its port up. */
  release(row: number): void {
    const mine = this.held.get(row);
    if (mine === undefined) return;
    this.held.delete(row);
    mine.rows--;
    if (mine.rows > 0) return;
    if (mine.key !== null) this.forConnect.delete(mine.key);
    this.claims.release(mine.hold);
  }

  /** A bound row begins to listen: 0, -EADDRINUSE, or -ENOBUFS. */
  listen(row: number, address: IpAddress, port: number): number {
    const mine = this.held.get(row);
    if (mine === undefined) return 0;
    const end = {
      protocol: TCP_PROTOCOL,
      address: address.copy(),
      port,
      ifIndex: this.rows.ifIndex[row]!,
      isV6only: this.rows.has(row, RowFlags.V6ONLY),
    };
    const claimed = this.claims.addPort(end);
    if (claimed < 0) return claimed;
    const result = this.claims.listen(mine.hold);
    if (result < 0) this.claims.removePort(end);
    else this.listeners.set(row, end);
    return result;
  }

  stopListening(row: number): void {
    const end = this.listeners.get(row);
    if (end === undefined) return;
    this.listeners.delete(row);
    // First the kernel: it would answer what comes between.
    const mine = this.held.get(row);
    if (mine !== undefined) this.claims.unlisten(mine.hold);
    this.claims.removePort(end);
  }

  addFlow(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): number {
    return this.claims.addFlow(TCP_PROTOCOL, local, localPort, remote, remotePort);
  }

  removeFlow(local: IpAddress, localPort: number, remote: IpAddress, remotePort: number): void {
    this.claims.removeFlow(TCP_PROTOCOL, local, localPort, remote, remotePort);
  }
}
