/**
 * Local addresses and ports of TCP sockets: `bind`, and the port that `connect` chooses.
 *
 * `bind` to port 0 takes a port that nobody holds at an overlapping address. `connect` may share a
 * port with connections to other peers: only the 4-tuple must be new, so that the ports of one host
 * are enough for any number of servers. Its search starts where a keyed hash of the peer says, and
 * moves on with every connection (RFC 6056 §3.3.4, double-hash port selection).
 */
import { EADDRINUSE, EADDRNOTAVAIL } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import type { Random } from "../base/random.js";
import { type FlowTable, NO_ROW, packPorts } from "../ring/flow-table.js";
import type { SharedTcp } from "./shared-tcp.js";
import { TCP_PROTOCOL } from "./tcp-input.js";
import type { TcpPorts } from "./tcp-ports.js";

/** net.ipv4.ip_local_port_range. */
const FIRST_EPHEMERAL = 32_768;
const LAST_EPHEMERAL = 60_999;
const EPHEMERAL = LAST_EPHEMERAL - FIRST_EPHEMERAL + 1;
/** Counters of the double hash (RFC 6056 §3.3.4's TABLE_LENGTH). */
const PERTURBATIONS = 256;
/** Protocol number of the second hash: no flow has it. */
const PERTURB_PROTOCOL = 255;

/** Ends a row in TIME-WAIT if it may be; whether it did. */
export type GiveWay = (row: number, isLocal: boolean) => boolean;

export class TcpBind {
  private readonly ports: TcpPorts;
  private readonly flows: FlowTable;
  private readonly giveWay: GiveWay;
  private readonly random: Random;
  private readonly perturbations = new Int32Array(PERTURBATIONS);
  /** Has a say where interfaces are shared with the kernel. */
  shared: SharedTcp | null = null;

  /** `giveWay`: as of `Tcp`, now. */
  constructor(ports: TcpPorts, flows: FlowTable, giveWay: GiveWay, random: Random) {
    this.ports = ports;
    this.flows = flows;
    this.giveWay = giveWay;
    this.random = random;
    for (let i = 0; i < PERTURBATIONS; i++) this.perturbations[i] = random.below(EPHEMERAL);
  }

  /**
   * Holds `port`, or a free one when it is 0, for the row. The port, or -EADDRINUSE; on shared
   * interfaces also what the kernel says, such as -EACCES.
   */
  bind(row: number, address: IpAddress, port: number): number {
    if (port !== 0 && this.ports.conflicts(row, address, port, false)) return -EADDRINUSE;
    let chosen = port;
    if (this.shared?.concerns(row, address)) {
      chosen = this.shared.bind(row, address, port, (p) => this.isFreeFor(row, address, p));
    } else if (port === 0) chosen = this.freePort(row, address);
    if (chosen <= 0) return chosen < 0 ? chosen : -EADDRINUSE;
    this.ports.hold(row, chosen, false);
    return chosen;
  }

  private freePort(row: number, address: IpAddress): number {
    const start = this.random.below(EPHEMERAL);
    for (let i = 0; i < EPHEMERAL; i++) {
      const port = FIRST_EPHEMERAL + ((start + i) % EPHEMERAL);
      if (this.isFreeFor(row, address, port)) return port;
    }
    return 0;
  }

  private isFreeFor(row: number, address: IpAddress, port: number): boolean {
    return this.ports.isFree(port) || !this.ports.conflicts(row, address, port, true);
  }

  /**
   * Holds a port from which `remote` can be connected to, of this host if `isLocal`. The port, or
   * -EADDRNOTAVAIL. What is left of an old connection goes where it may (tcp/time-wait.ts).
   */
  chooseForConnect(
    row: number,
    local: IpAddress,
    remote: IpAddress,
    remotePort: number,
    isLocal: boolean,
  ): number {
    const offset = this.flows.hash(local, remote, remotePort, TCP_PROTOCOL) >>> 0;
    const cell = this.flows.hash(local, remote, remotePort, PERTURB_PROTOCOL) & (PERTURBATIONS - 1);
    const start = (offset % EPHEMERAL) + this.perturbations[cell]!;
    // Who finds nobody there shall not find himself, and take the port from its server: Linux chooses from the other half.
    const own = local.equals(remote) ? remotePort : 0;
    for (let i = 0; i < EPHEMERAL; i++) {
      const port = FIRST_EPHEMERAL + ((start + i) % EPHEMERAL);
      if (port === own || !this.ports.isShareable(port)) continue;
      if (!this.makeRoom(local, port, remote, remotePort, isLocal)) continue;
      const held = this.shared?.holdForConnect(row, local, port) ?? 0;
      if (held === -EADDRINUSE) continue;
      if (held < 0) return held;
      this.perturbations[cell] = (this.perturbations[cell]! + i + 1) % EPHEMERAL;
      this.ports.hold(row, port, true);
      return port;
    }
    return -EADDRNOTAVAIL;
  }

  /** Whether a connection between these is new, once an old one in TIME-WAIT has gone that may go. */
  makeRoom(
    local: IpAddress,
    port: number,
    remote: IpAddress,
    remotePort: number,
    isLocal: boolean,
  ): boolean {
    const old = this.flows.find(local, remote, packPorts(port, remotePort), TCP_PROTOCOL);
    return old === NO_ROW || this.giveWay(old, isLocal);
  }
}
