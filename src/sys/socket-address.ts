/**
 * An address and a port as the kernel's sockets have them: struct sockaddr_in or sockaddr_in6
 * (ip(7), ipv6(7)).
 */
import { IpAddress } from "../base/ip-address.js";
import { LITTLE_ENDIAN } from "./netlink-message.js";
import { AF_INET, AF_INET6 } from "./rtnetlink.js";

const V4_BYTES = 16;
const V6_BYTES = 28;
const PORT_AT = 2;
const ADDRESS4_AT = 4;
const ADDRESS6_AT = 8;
const SCOPE_AT = 24;

/** `ifIndex` is the scope of IPv6 addresses that need one, 0 for the others. */
export function socketAddress(address: IpAddress, port: number, ifIndex: number): Uint8Array {
  const { isV4 } = address;
  const bytes = new Uint8Array(isV4 ? V4_BYTES : V6_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isV4 ? AF_INET : AF_INET6, LITTLE_ENDIAN);
  view.setUint16(PORT_AT, port);
  if (isV4) address.write4(bytes, ADDRESS4_AT);
  else {
    address.write6(bytes, ADDRESS6_AT);
    view.setUint32(SCOPE_AT, ifIndex, LITTLE_ENDIAN);
  }
  return bytes;
}

/** Room for an address that the kernel fills in; zeros until it does. */
export class SocketName {
  readonly bytes: Uint8Array = new Uint8Array(V6_BYTES);
  private readonly words = new Int32Array(this.bytes.buffer);

  get port(): number {
    return (this.bytes[PORT_AT]! << 8) | this.bytes[PORT_AT + 1]!;
  }

  get address(): IpAddress {
    const address = new IpAddress();
    const isV4 = new DataView(this.bytes.buffer).getUint16(0, LITTLE_ENDIAN) === AF_INET;
    if (isV4) address.read4(this.bytes, ADDRESS4_AT);
    else address.read6(this.bytes, ADDRESS6_AT);
    return address;
  }

  /** Hot path. Puts this port into an address that {@link socketAddress} made. */
  copyPort(to: Uint8Array): void {
    to[PORT_AT] = this.bytes[PORT_AT]!;
    to[PORT_AT + 1] = this.bytes[PORT_AT + 1]!;
  }

  /** Hot path. Becomes another one; false when it was that already. */
  become(other: SocketName): boolean {
    let changed = false;
    for (let i = 0; i < this.words.length; i++) {
      if (this.words[i] === other.words[i]) continue;
      changed = true;
      this.words[i] = other.words[i]!;
    }
    return changed;
  }
}
