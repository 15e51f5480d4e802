/** Whether the kernel has an interface, for who names one before opening it. */
import { interfaceIndex } from "../sys/xdp-link.js";

/** Throws `NetError` ENODEV, which names those that there are. */
export function requireInterface(name: string): void {
  interfaceIndex(name);
}
