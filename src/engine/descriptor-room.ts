/**
 * Whether the engine may have more descriptors. The kernel gives out the lowest free number, so a new one's
 * number says how many there are: no counting, no system call. New sockets are turned away first and new
 * processes next, so that what those that are there need (waiters, accepted connections) still finds room.
 */
import { mostFds } from "../sys/fd.js";

const FOR_PROCESSES = 32;
const FOR_SOCKETS = 64;

export class DescriptorRoom {
  /** RLIMIT_NOFILE when the engine began. */
  readonly most: number;

  constructor(most: number = mostFds()) {
    this.most = most;
  }

  /** Whether a new socket may keep a descriptor with this number. */
  forSocket(fd: number): boolean {
    return fd < this.most - FOR_SOCKETS;
  }

  /** Whether a new process may. */
  forProcess(fd: number): boolean {
    return fd < this.most - FOR_PROCESSES;
  }
}
