/**
 * The kernel's own sockets, as /proc/net/{tcp,tcp6,udp,udp6} list them (proc(5)), by their inode: what
 * `millrace stat` shows of sockets that are not accelerated.
 */
import { IpAddress } from "../base/ip-address.js";

export interface KernelSocket {
  readonly protocol: "tcp" | "udp";
  readonly family: "IPv4" | "IPv6";
  /** In the words of stat-message.ts. */
  readonly state: string;
  readonly recvQ: number;
  readonly sendQ: number;
  readonly local: IpAddress;
  readonly localPort: number;
  readonly remote: IpAddress;
  readonly remotePort: number;
  readonly uid: number;
  readonly inode: number;
}

/** By the kernel's numbers (include/net/tcp_states.h). */
const STATES = [
  "",
  "ESTAB",
  "SYN-SENT",
  "SYN-RECV",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "TIME-WAIT",
  "CLOSED",
  "CLOSE-WAIT",
  "LAST-ACK",
  "LISTEN",
  "CLOSING",
  "SYN-RECV",
];

/** All sockets of this network namespace; `read` gives a file's contents, or null. */
export function kernelSockets(read: (path: string) => string | null): Map<number, KernelSocket> {
  const found = new Map<number, KernelSocket>();
  for (const protocol of ["tcp", "udp"] as const) {
    for (const family of ["IPv4", "IPv6"] as const) {
      const text = read(`/proc/net/${protocol}${family === "IPv6" ? "6" : ""}`) ?? "";
      for (const line of text.split("\n").slice(1)) {
        const socket = parseLine(line, protocol, family);
        if (socket !== null && socket.inode !== 0) found.set(socket.inode, socket);
      }
    }
  }
  return found;
}

function parseLine(
  line: string,
  protocol: "tcp" | "udp",
  family: "IPv4" | "IPv6",
): KernelSocket | null {
  const [, local = "", remote = "", state = "", queues = "", , , uid, , inode] = line
    .trim()
    .split(/\s+/);
  if (inode === undefined) return null;
  const [sendQ = "", recvQ = ""] = queues.split(":");
  const [localAddress, localPort] = endpoint(local);
  const [remoteAddress, remotePort] = endpoint(remote);
  const name = STATES[Number.parseInt(state, 16)] ?? state;
  return {
    protocol,
    family,
    state: protocol === "udp" && name === "CLOSED" ? "UNCONN" : name,
    recvQ: Number.parseInt(recvQ, 16),
    sendQ: Number.parseInt(sendQ, 16),
    local: localAddress,
    localPort,
    remote: remoteAddress,
    remotePort,
    uid: Number(uid),
    inode: Number(inode),
  };
}

/** `0100007F:1F90`: words in the machine's byte order, port in hexadecimal. */
function endpoint(text: string): [IpAddress, number] {
  const [hex = "", port = "0"] = text.split(":");
  const bytes = Buffer.from(hex, "hex");
  for (let at = 0; at + 4 <= bytes.length; at += 4) bytes.subarray(at, at + 4).reverse();
  const address = new IpAddress();
  if (bytes.length === 16) address.read6(bytes, 0);
  else if (bytes.length === 4) address.read4(bytes, 0);
  return [address, Number.parseInt(port, 16)];
}
