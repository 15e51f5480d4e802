/**
 * What all polled sockets have in common: a number in the stack, readiness, and options by name.
 *
 * Calls return 0 or more, or a negated error number (`-EAGAIN`), and never block, throw or call
 * back. A closed socket answers every call with -EBADF.
 */
import { ENOPROTOOPT } from "../base/errno.js";
import { type OptionName, optionByName } from "./linux-options.js";
import { Watchable } from "./ready-set.js";

export abstract class PolledSocket extends Watchable {
  /** Value that the last successful `getOption` read. */
  optionOut = 0;
  /** For whoever waits for the socket; the stack does not touch it. */
  owner: unknown = null;
  /** Options that only the user or the layer above acts on, by level and number. */
  private kept: Map<number, number> | null = null;

  /** Whether it waits for connections. */
  get isListening(): boolean {
    return false;
  }

  abstract close(): void;
  abstract setOption(level: number, option: number, value: number): number;
  /** Reads an option into `optionOut`. */
  abstract getOption(level: number, option: number): number;
  /** The pending error (SO_ERROR) as a positive number, cleared by the call; 0 when there is none. */
  abstract takeError(): number;

  /** {@link setOption} by the option's C name: `set("TCP_NODELAY", 1)`. */
  set(name: OptionName, value: number): number {
    const option = optionByName(name);
    return option === undefined ? -ENOPROTOOPT : this.setOption(option[0], option[1], value);
  }

  /** {@link getOption} by name; the value, or a negated error number. */
  get(name: OptionName): number {
    const option = optionByName(name);
    if (option === undefined) return -ENOPROTOOPT;
    const result = this.getOption(option[0], option[1]);
    return result < 0 ? result : this.optionOut;
  }

  /** Remembers an option. 0, as `setOption` returns. */
  keep(level: number, option: number, value: number): number {
    this.kept ??= new Map();
    this.kept.set((level << 16) | option, value);
    return 0;
  }

  /** What {@link keep} remembered, or `initial`, in `optionOut`. 0, as `getOption` returns. */
  recall(level: number, option: number, initial = 0): number {
    this.optionOut = this.kept?.get((level << 16) | option) ?? initial;
    return 0;
  }

  /** As {@link recall}, returned. */
  recalled(level: number, option: number): number {
    return this.kept?.get((level << 16) | option) ?? 0;
  }
}
