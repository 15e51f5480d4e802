/**
 * Which received frames come to a device that shares its interface with the kernel.
 * Everything that nobody has claimed goes to the kernel.
 *
 * Ports are in host order. A claim is counted: as many removals as additions end it.
 */
import type { IpAddress } from "../base/ip-address.js";

export interface FlowFilter {
  /**
   * Claims one flow: frames from `remote` to `local`, ICMP errors that quote its packets, and their
   * fragments. Returns 0 or a negative error number (-E2BIG when the table is full).
   */
  addFlow(
    protocol: number,
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
  ): number;
  removeFlow(
    protocol: number,
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
  ): void;

  /**
   * Claims whatever comes to a port: a listener, an unconnected UDP socket. The unspecified address
   * of a family (`0.0.0.0` as mapped, `::`) claims the port at every address of the host in that
   * family, but no multicast: groups are claimed by {@link addGroup}, as they are joined.
   */
  addPort(protocol: number, local: IpAddress, localPort: number): number;
  removePort(protocol: number, local: IpAddress, localPort: number): void;

  /** Claims datagrams to a joined group and port; port 0 claims every UDP port of the group. */
  addGroup(group: IpAddress, localPort: number): number;
  removeGroup(group: IpAddress, localPort: number): void;

  /**
   * Says which addresses (broadcast ones included) are the host's: a port that is claimed at any
   * address is claimed at these only, and what the kernel routes for others is left to it. Null:
   * every address. Throws `NetError`.
   */
  setLocalAddresses?(addresses: readonly IpAddress[] | null): void;
}
