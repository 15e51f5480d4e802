/** What a driver needs to know about a network interface: netdevice(7), ethtool. */
import { networkInterfaces } from "node:os";
import * as errno from "../base/errno.js";
import { addon } from "./addon.js";
import { check } from "./check.js";

/** What {@link interfaceState} says. */
export const LinkState = {
  DOWN: 0,
  UP: 1,
  /** There is no such interface any more. */
  GONE: 2,
} as const;

/**
 * Whether the interface of this number is up with a carrier, asked through any open socket of its
 * namespace. Two system calls: not for every packet.
 */
export function interfaceState(fd: number, index: number): number {
  const state = addon().interfaceState(fd, index);
  if (state >= 0) return state;
  return state === -errno.ENODEV || state === -errno.ENXIO ? LinkState.GONE : LinkState.DOWN;
}

/** Receive queues; 1 for drivers that do not tell. */
export function interfaceQueues(name: string): number {
  return Math.max(1, addon().interfaceQueues(name));
}

/** The driver's name (`veth`, `ice`), or `unknown`. */
export function interfaceDriver(name: string): string {
  const driver = addon().interfaceDriver(name);
  return typeof driver === "string" && driver !== "" ? driver : "unknown";
}

/** The kernel's own addresses on an interface that is up, with prefix lengths. */
export function kernelAddresses(name: string): string[] {
  return (networkInterfaces()[name] ?? []).map((entry) => entry.cidr ?? entry.address);
}

/** A descriptor that is readable when one of these is; the caller closes it. */
export function uniteFds(fds: readonly number[]): number {
  return check(addon().fdUnion(Int32Array.from(fds), fds.length), "epoll_ctl");
}
