/** Values of options that more than one command takes: checked, or refused with what was expected. */
import { resolve } from "node:path";
import { InvalidArgumentError } from "commander";
import { IpAddress } from "../base/ip-address.js";
import type { Profile } from "../engine/config.js";
import { whyNoControl } from "../engine/socket-path.js";
import { whyNoHostText } from "../ip/host-address.js";
import { tryParsePrefix } from "../ip/prefix.js";

/** What `spin_us` says for "for ever". */
const FOR_EVER = 0xffff_ffff;

export function profileOf(text: string): Profile {
  if (text === "latency" || text === "balanced" || text === "idle") return text;
  throw new InvalidArgumentError("expected latency, balanced or idle");
}

/** Microseconds. */
export function spinOf(text: string): number {
  if (text === "forever") return FOR_EVER;
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("expected microseconds, or forever");
}

export function addressOf(text: string): string {
  if (IpAddress.tryParse(text) !== null) return text;
  throw new InvalidArgumentError("expected an IPv4 or IPv6 address such as 10.0.0.1");
}

/** An address that a host can have, with or without its prefix length. */
export function hostOf(text: string): string {
  if (text.includes("/")) return prefixOf(text);
  const why = whyNoHostText(addressOf(text));
  if (why !== "") throw new InvalidArgumentError(`expected a host's address; it is ${why}`);
  return text;
}

/** A control socket's path, absolute, as programs are told it. */
export function controlOf(text: string): string {
  const path = text === "" ? "" : resolve(text);
  const why = whyNoControl(path);
  if (why !== "") throw new InvalidArgumentError(why);
  return path;
}

/** A host's address with its prefix length. */
export function prefixOf(text: string): string {
  const expected = "expected a host's address with its prefix length such as 10.0.0.2/24";
  if (tryParsePrefix(text) === null) throw new InvalidArgumentError(expected);
  const why = whyNoHostText(text);
  if (why !== "") throw new InvalidArgumentError(`${expected}; it is ${why}`);
  return text;
}
