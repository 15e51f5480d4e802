/** What `millrace run` may say about the engine: the flags that it starts one with. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { absoluteFiles, withAbsoluteFiles } from "../nic/program-settings.js";

export interface EngineFlags {
  readonly nic?: readonly string[];
  /** With `--nic` and a prefix length: of the interface. Otherwise of the program alone. */
  readonly address?: string;
  readonly gateway?: string;
  readonly xdp?: string;
  readonly network?: string;
  readonly config?: string;
  readonly profile?: string;
  readonly spin?: string;
  readonly loopback?: boolean;
}

/** The arguments of `millrace engine`. */
export function engineArguments(flags: EngineFlags): string[] {
  const list: string[] = [];
  const add = (name: string, value: string | undefined): void => {
    if (value !== undefined) list.push(`--${name}`, value);
  };
  for (const nic of flags.nic ?? []) add("nic", withAbsoluteFiles(nic));
  if (flags.nic !== undefined && flags.address?.includes("/")) add("address", flags.address);
  add("gateway", flags.gateway);
  add("xdp", flags.xdp === undefined ? undefined : absoluteFiles(flags.xdp));
  add("network", flags.network);
  add("config", flags.config === undefined ? undefined : resolve(flags.config));
  add("profile", flags.profile);
  add("spin", flags.spin);
  if (flags.loopback === true) list.push("--loopback");
  return list;
}

/** What only an engine that starts can be told. */
const FIXED = ["--nic", "--gateway", "--xdp", "--network", "--config"] as const;

/**
 * What is asked for and a running engine was not started with, as words; empty: it will do. `running` are
 * its arguments.
 */
export function missingIn(running: readonly string[], flags: EngineFlags): string[] {
  const wanted = engineArguments(flags);
  const missing: string[] = [];
  for (let i = 0; i < wanted.length; i++) {
    const name = wanted[i]!;
    if (!(FIXED as readonly string[]).includes(name)) continue;
    const value = wanted[i + 1]!;
    const has = running.some(
      (word, at) => word === `${name}=${value}` || (word === name && running[at + 1] === value),
    );
    if (!has) missing.push(`${name} ${value}`);
  }
  return missing;
}

/** The arguments of a process, from its command's name on. */
export function argumentsOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
}
