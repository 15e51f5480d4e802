/**
 * What carries messages: sockets of the kernel, of Node.js or of a Millrace stack, behind one small
 * polled interface. Calls of the data path return a count or a negated error number.
 */
import type { IpAddress } from "../../base/ip-address.js";

export interface MulticastOptions {
  /** Interface, 0 if the routes are to choose. */
  readonly ifIndex: number;
  readonly ttl: number;
  /** Whether receivers on the sender's own host hear it. */
  readonly loop: boolean;
}

export interface SocketOptions {
  readonly address: IpAddress;
  readonly port: number;
  readonly multicast: MulticastOptions;
  /** Socket buffers; 0: as the system has them. */
  readonly bufferBytes: number;
  /** TCP: whether small writes leave at once. */
  readonly noDelay: boolean;
  /** Client: the local port, 0 for any. */
  readonly localPort: number;
  /** Server, groups: reply to the sender and not to the group. */
  readonly replyToSender: boolean;
}

/** One socket that messages go through. */
export interface Endpoint {
  /** Hot path. To the peer; of a datagram server to whom the last message came from. */
  send(bytes: Uint8Array, at: number, n: number): number;
  /** Hot path. -EAGAIN when there is nothing; 0 at the end of a stream. */
  receive(bytes: Uint8Array, at: number, n: number): number;
  /** 1 once it can be used, 0 while a connection is under way, or a negated error number. */
  connectResult(): number;
  /** Whether the last datagram came from another sender than the one before. */
  senderChanged(): boolean;
  /** Who sent the last datagram, for a table. */
  sender(): string;
  close(): void;
}

export interface Listener {
  accept(): Endpoint | null;
  close(): void;
}

export interface Transport {
  /** For people: `kernel sockets`, `tap0`. */
  readonly name: string;
  /** Whether its link is up: a memif has none until its peer is there. */
  readonly isReady: boolean;
  /** Hot path. Does what there is to do: a stack's turn. */
  turn(): void;
  /** Sleeps until something may have arrived, at most so long; where it cannot, returns at once. */
  wait(timeoutUs: number): void;
  /** The work is to be called when something happened, instead of being polled. */
  onEvent?(work: () => void): void;
  udpServer(options: SocketOptions): Promise<Endpoint>;
  udpClient(options: SocketOptions): Promise<Endpoint>;
  tcpServer(options: SocketOptions): Promise<Listener>;
  tcpClient(options: SocketOptions): Promise<Endpoint>;
  close(): void;
}
