/** The kernel's interface behind a device: whether it is up, as last asked, and whether it still exists. */
import { silenceFd } from "../sys/fd.js";
import { interfaceState, LinkState } from "../sys/interface.js";

export class KernelLink {
  isUp: boolean;
  /** The interface was deleted. */
  isGone = false;
  private readonly askFd: number;
  private readonly index: number;
  private readonly wakeFd: number;

  /** `askFd`: a socket that answers for interface `index`; `wakeFd`: what hosts sleep on. Both are borrowed. */
  constructor(askFd: number, index: number, wakeFd: number) {
    this.askFd = askFd;
    this.index = index;
    this.wakeFd = wakeFd;
    this.isUp = interfaceState(askFd, index) === LinkState.UP;
  }

  ask(): void {
    const state = interfaceState(this.askFd, this.index);
    this.isUp = state === LinkState.UP;
    if (state !== LinkState.GONE || this.isGone) return;
    this.isGone = true;
    // Sockets of an interface that is gone poll as failed for ever and would keep hosts awake.
    silenceFd(this.wakeFd);
  }
}
