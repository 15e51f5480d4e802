/** Where a contestant's two processes meet, and how one starts the other. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export const LOOPBACK = "127.0.0.1";
export const CLIENT = "10.77.0.1";
export const SERVER = "10.77.0.2";
/** How long a host over memif polls for the peer's next frame before it sleeps. */
export const SPIN_US = 1_000;

/** Where the server listens. */
export interface Ports {
  readonly udp: number;
  readonly tcp: number;
  readonly http: number;
  /** UDP, with polled sockets; 0 where there are none. */
  readonly polled: number;
}

/** The other process. */
export class Peer {
  ports: Ports = { udp: 0, tcp: 0, http: 0, polled: 0 };
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterableIterator<string>;

  private constructor(args: readonly string[]) {
    const file = fileURLToPath(new URL("peer.js", import.meta.url));
    this.child = spawn(process.execPath, [file, ...args], { stdio: ["pipe", "pipe", "inherit"] });
    this.lines = createInterface({ input: this.child.stdout! })[Symbol.asyncIterator]();
  }

  /** Starts it and waits until it listens. */
  static async start(...args: string[]): Promise<Peer> {
    const peer = new Peer(args);
    peer.ports = JSON.parse(await peer.line()) as Ports;
    return peer;
  }

  /** Lets it echo with polled sockets; returns when it does. */
  async poll(): Promise<void> {
    this.child.stdin!.write("polled\n");
    await this.line();
  }

  async close(): Promise<void> {
    const closed = once(this.child, "close");
    this.child.stdin!.end();
    await closed;
  }

  private async line(): Promise<string> {
    const next = await this.lines.next();
    if (next.done === true) throw new Error("the other process ended early");
    return next.value;
  }
}
