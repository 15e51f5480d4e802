/**
 * Programs that `millrace run` has started: they keep the engine, and the address that they were given,
 * also before their first socket and whatever they become by exec. The launcher sends a pidfd of its own
 * process, which becomes the program; it is readable once the program has ended, SIGKILL included.
 */
import { closeFd } from "../sys/fd.js";
import { PollSet } from "../sys/poll-set.js";

const EVENTS = 64;

export class Launched {
  private readonly set = new PollSet();
  /** The address of each program, by pidfd. */
  private readonly addresses = new Map<number, string>();
  private readonly events = new Int32Array(2 * EVENTS);
  private readonly leave: (address: string) => void;

  /** `leave`: a program that had asked for this address has ended. */
  constructor(leave: (address: string) => void) {
    this.leave = leave;
  }

  /** Readable when {@link service} has something to do. */
  get fd(): number {
    return this.set.fd;
  }

  /** How many run. */
  get size(): number {
    return this.addresses.size;
  }

  /** Takes a pidfd. Throws `NetError` when it cannot be watched. */
  add(pidFd: number, address: string): void {
    this.set.add(pidFd);
    this.addresses.set(pidFd, address);
  }

  /** Looks for programs that have ended. */
  service(): void {
    const n = this.set.take(this.events, EVENTS);
    for (let i = 0; i < n; i++) this.end(this.events[2 * i]!);
  }

  private end(pidFd: number): void {
    const address = this.addresses.get(pidFd);
    if (address === undefined) return;
    this.addresses.delete(pidFd);
    this.set.remove(pidFd);
    closeFd(pidFd);
    this.leave(address);
  }

  close(): void {
    for (const pidFd of [...this.addresses.keys()]) this.end(pidFd);
    this.set.close();
  }
}
