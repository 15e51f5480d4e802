/** Addresses as rings, calls and messages carry them (`mr_address` of layout.h). */
import { IpAddress } from "../base/ip-address.js";
import { AddressAt } from "../ring/engine-layout.js";
import { Family } from "../socket/linux-options.js";

/** An address that was read, reused by its reader. */
export class SharedAddress {
  readonly address: IpAddress = new IpAddress();
  /** `Family`, or 0 for none; whatever else was written reads as 0. */
  family = 0;
  port = 0;
  /** Index of an interface, or 0. */
  scope = 0;

  /** Hot path. */
  read(view: DataView, at: number): void {
    const family = view.getUint16(at + AddressAt.family, true);
    this.family = family;
    this.port = view.getUint16(at + AddressAt.port, true);
    if (family === Family.INET) {
      this.scope = 0;
      this.address.set(0, 0, 0xffff, view.getInt32(at));
    } else if (family === Family.INET6) {
      this.scope = view.getInt32(at + AddressAt.scope, true);
      this.address.set(
        view.getInt32(at),
        view.getInt32(at + 4),
        view.getInt32(at + 8),
        view.getInt32(at + 12),
      );
    } else this.family = 0;
  }
}

/**
 * Hot path. Writes an address as a socket of `family` shows it: IPv4 ones in their mapped form on an
 * AF_INET6 socket.
 */
export function writeAddress(
  view: DataView,
  at: number,
  family: number,
  address: IpAddress,
  port: number,
  scope: number,
): void {
  if (family === Family.INET) view.setInt32(at, address.w3);
  else writeBytes16(view, at, address);
  view.setUint32(at + AddressAt.family, family | (port << 16), true);
  view.setInt32(at + AddressAt.scope, scope, true);
}

/** Hot path. */
export function writeBytes16(view: DataView, at: number, address: IpAddress): void {
  view.setInt32(at, address.w0);
  view.setInt32(at + 4, address.w1);
  view.setInt32(at + 8, address.w2);
  view.setInt32(at + 12, address.w3);
}

/** No address. */
export function clearAddress(view: DataView, at: number): void {
  for (let i = 0; i < 24; i += 4) view.setInt32(at + i, 0);
}
