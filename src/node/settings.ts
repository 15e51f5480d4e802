/**
 * What a Node.js program is accelerated with: from `register({...})`, the environment, or a JSON
 * file with the same words, in this order of precedence.
 */
import { readFileSync } from "node:fs";
import { type JsonMember, type JsonNode, parseCommentedJson } from "../base/commented-json.js";
import { IpAddress } from "../base/ip-address.js";
import { PlacedError } from "../base/placed-error.js";
import { whyNoHost, whyNoHostText } from "../ip/host-address.js";
import { tryParsePrefix } from "../ip/prefix.js";
import { whyNoDeviceText } from "../socket/device-settings.js";

export type Profile = "latency" | "balanced" | "idle";

export interface NodeSettings {
  /** The device, as `millrace perf` takes it: `memif:/run/a.sock`, `tap:mr0`, `xdp:eth1,shared`. */
  readonly nic?: string;
  /** With prefix length: `10.77.0.2/24`. None for an interface that is shared with the kernel. */
  readonly addresses?: readonly string[];
  /** Default routes through the device: one a family. */
  readonly gateways?: readonly string[];
  /** Whether 127.0.0.1 and ::1 between sockets of this thread go through Millrace. */
  readonly loopback?: boolean;
  /** How long to poll before sleeping: for ever, 50 µs (the default), not at all. */
  readonly profile?: Profile;
  /** Seconds for which the first socket waits for a memif server to be there; 3 if not given. */
  readonly linkWait?: number;
  /** A file of acceleration rules. */
  readonly rules?: string;
  /** Says of every socket whether it is accelerated, and why not. */
  readonly debug?: boolean;
}

const SPIN_US: Readonly<Record<Profile, number>> = {
  latency: Number.POSITIVE_INFINITY,
  balanced: 50,
  idle: 0,
};

export const spinUsOf = (profile: Profile = "balanced"): number => SPIN_US[profile];

type Reader = (value: unknown) => unknown;

const text: Reader = (v) => (typeof v === "string" && v !== "" ? v : undefined);
/** What the device's opener would say is said at once, and without loading it. */
const device: Reader = (v) =>
  typeof v === "string" && /^(memif|tap|xdp|packet|pcap):.|^tap[^:]/.test(v) ? v : undefined;
/** The number of a thread stands in for `%w`. */
const whyNoDevice = (v: string): string => whyNoDeviceText(v.replaceAll("%w", "0"));
const list = (v: unknown, isGood: (part: string) => boolean): string[] | undefined => {
  const parts: unknown = typeof v === "string" ? v.split(",") : v;
  if (!Array.isArray(parts) || !parts.every((p) => typeof p === "string")) return undefined;
  const trimmed = parts.map((p: string) => p.trim());
  return trimmed.every(isGood) ? trimmed : undefined;
};
const addresses: Reader = (v) =>
  list(v, (part) => {
    const prefix = tryParsePrefix(part);
    return prefix !== null && whyNoHost(prefix.address, prefix.bits) === "";
  });
const gateways: Reader = (v) =>
  list(v, (part) => IpAddress.tryParse(part) !== null && whyNoHostText(part) === "");
const flag: Reader = (v) => {
  if (v === true || v === "1" || v === 1 || v === "true") return true;
  return v === false || v === "0" || v === 0 || v === "false" || v === "" ? false : undefined;
};
const seconds: Reader = (v) => {
  const n = typeof v === "string" && v.trim() !== "" ? Number(v) : v;
  return typeof n === "number" && n >= 0 && n <= LONGEST_WAIT_S ? n : undefined;
};
const LONGEST_WAIT_S = 86_400;
const profile: Reader = (v) => (Object.hasOwn(SPIN_US, String(v)) ? v : undefined);

/** Each setting: its variable of the environment, how it is read, and what is expected of it. */
const KNOWN = {
  nic: [
    "MILLRACE_NIC",
    device,
    "a device like memif:/run/a.sock, tap:mr0, xdp:eth1 or packet:eth1",
  ],
  addresses: [
    "MILLRACE_ADDRESS",
    addresses,
    "hosts' addresses with prefix lengths, like 10.77.0.2/24,fd00::2/64",
  ],
  gateways: ["MILLRACE_GATEWAY", gateways, "routers' addresses like 10.77.0.1,fd00::1"],
  loopback: ["MILLRACE_LOOPBACK", flag, "1 or 0"],
  linkWait: ["MILLRACE_LINK_WAIT", seconds, "seconds from 0 to 86400"],
  profile: ["MILLRACE_PROFILE", profile, "latency, balanced or idle"],
  rules: ["MILLRACE_RULES", text, "a file of rules"],
  debug: ["MILLRACE_DEBUG", flag, "1 or 0"],
} as const satisfies Record<keyof NodeSettings, readonly [string, Reader, string]>;

/** For messages about a setting that only fails when it is used: `gateways (MILLRACE_GATEWAY)`. */
export const nameOf = (key: keyof NodeSettings): string => `${key} (${KNOWN[key][0]})`;

function read(key: keyof NodeSettings, value: unknown, where: string): unknown {
  const [, reader, expected] = KNOWN[key];
  const result = reader(value);
  const why = key === "nic" && result !== undefined ? whyNoDevice(String(result)) : "";
  if (why !== "") throw new TypeError(`${where}: ${why}`);
  if (result !== undefined) return result;
  throw new TypeError(`${where}: expected ${expected}, got ${shown(value)}`);
}

function shown(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  return JSON.stringify(value) ?? typeof value;
}

/** Checks what a file or a program gave. Throws `TypeError` that names the word and what is known. */
export function checkSettings(given: unknown, where: string): NodeSettings {
  if (given === null || typeof given !== "object" || Array.isArray(given)) {
    throw new TypeError(`${where}: expected an object of settings, got ${shown(given)}`);
  }
  const settings: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(given)) {
    if (!isKnown(key)) throw new TypeError(`${where}: ${unknown(key)}`);
    if (value !== undefined) settings[key] = read(key, value, `${where}: ${key}`);
  }
  return settings;
}

const isKnown = (key: string): key is keyof NodeSettings => Object.hasOwn(KNOWN, key);
const unknown = (key: string): string =>
  `unknown setting ${JSON.stringify(key)}; known: ${Object.keys(KNOWN).join(", ")}`;

/** As {@link checkSettings}, of a file of JSON: messages begin with the file, the line and the column. */
function fileSettings(path: string): NodeSettings {
  let root: JsonNode;
  try {
    root = parseCommentedJson(readFileSync(path, "utf8"), path);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const where = cause instanceof PlacedError ? "" : `${path}: `;
    throw new TypeError(`MILLRACE_CONFIG: ${where}${why}`, { cause });
  }
  const at = ({ place }: JsonNode | JsonMember): string => `${path}:${place.line}:${place.column}`;
  if (root.kind !== "object") return checkSettings(plain(root), at(root));
  const settings: Record<string, unknown> = {};
  for (const member of root.members) {
    const { key, value } = member;
    if (!isKnown(key)) throw new TypeError(`${at(member)}: ${unknown(key)}`);
    settings[key] = read(key, plain(value), `${at(value)}: ${key}`);
  }
  return settings;
}

function plain(node: JsonNode): unknown {
  if (node.kind === "array") return node.elements.map(plain);
  if (node.kind === "null") return null;
  if (node.kind !== "object") return node.value;
  return Object.fromEntries(node.members.map(({ key, value }) => [key, plain(value)]));
}

/** Settings of the environment, over those of the file that MILLRACE_CONFIG names. */
export function environmentSettings(env: NodeJS.ProcessEnv = process.env): NodeSettings {
  const file = env.MILLRACE_CONFIG;
  const settings: Record<string, unknown> =
    file === undefined || file === "" ? {} : { ...fileSettings(file) };
  for (const key of Object.keys(KNOWN) as (keyof NodeSettings)[]) {
    const name = KNOWN[key][0];
    const value = env[name];
    if (value !== undefined && value !== "") settings[key] = read(key, value, name);
  }
  return settings;
}

/** Whether anything could be accelerated with these. */
export const accelerates = (s: NodeSettings): boolean => s.nic !== undefined || s.loopback === true;
