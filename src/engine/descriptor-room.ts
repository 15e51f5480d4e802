/**
 * Whether the engine may have more descriptors. The kernel gives out the lowest free number, so a new one's
 * number says how many there are: no counting, no system call. New sockets are turned away first and new
 * processes next, so that what those that are there need (waiters, accepted connections) still finds room.
 */
import { NetError } from "../base/errors.js";
import { closeFd, createEvent, mostFds } from "../sys/fd.js";

const FOR_PROCESSES = 32;
const FOR_SOCKETS = 64;
/** Room is scarce when of what sockets may have less than this part is left. */
const SCARCE = 1 / 8;

export class DescriptorRoom {
  /** RLIMIT_NOFILE when the engine began. */
  readonly most: number;
  private readonly scarceFrom: number;
  /** The newest descriptor: there is no free number below it, or was none. */
  private newest = 0;

  constructor(most: number = mostFds()) {
    this.most = most;
    this.scarceFrom = (most - FOR_SOCKETS) * (1 - SCARCE);
  }

  /** Whether a new socket may keep a descriptor with this number. */
  forSocket(fd: number): boolean {
    this.newest = fd;
    return fd < this.most - FOR_SOCKETS;
  }

  /** Whether a new process may. */
  forProcess(fd: number): boolean {
    this.newest = fd;
    return fd < this.most - FOR_PROCESSES;
  }

  /** Whether sockets will soon be turned away. */
  get isScarce(): boolean {
    return this.newest >= this.scarceFrom;
  }

  /** Some were closed: where room was scarce it is looked whether it still is. */
  lookAgain(): void {
    if (this.isScarce) this.newest = lowestFree() ?? this.most;
  }
}

/** Null: there is none. */
function lowestFree(): number | null {
  try {
    const fd = createEvent();
    closeFd(fd);
    return fd;
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    return null;
  }
}
