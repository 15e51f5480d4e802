/** What may follow a device's name in its specification: `NAME,key=value,word`. */
import { type MemifLimited, whyNoMemif } from "../nic/memif-limits.js";

/** How one setting is written and read. */
export interface Setting {
  /** What follows the key, for messages: `=N`. */
  readonly form: string;
  /** Reads a value's text, "" for a word alone; undefined when it makes no sense. */
  readonly read: (text: string) => string | number | boolean | undefined;
}

export const NUMBER: Setting = {
  form: "=N",
  read: (text) => (/^\d{1,10}$/.test(text) ? Number(text) : undefined),
};
export const TEXT: Setting = {
  form: "=TEXT",
  read: (text) => (text === "" ? undefined : text),
};
/** A word that stands alone: `shared`. */
export const WORD: Setting = { form: "", read: (text) => (text === "" ? true : undefined) };

export function oneOf(...words: string[]): Setting {
  return {
    form: `=${words.join("|")}`,
    read: (text) => (words.includes(text) ? text : undefined),
  };
}

/** What may be said of a memif device, in the words that users of DPDK know. */
export const MEMIF_SETTINGS = {
  role: oneOf("server", "client"),
  id: NUMBER,
  secret: TEXT,
  name: TEXT,
  queuePairs: NUMBER,
  ringSize: NUMBER,
  mtuBytes: NUMBER,
} as const;

export const XDP_SETTINGS = {
  queue: NUMBER,
  mode: oneOf("auto", "native", "generic"),
  shared: WORD,
} as const;

/** IFNAMSIZ less the terminating zero. */
const INTERFACE_NAME_BYTES = 15;
/** `sun_path` of unix(7) less the terminating zero. */
const SOCKET_PATH_BYTES = 107;

/**
 * Why a device's specification makes no sense whatever there is on the machine, or "": without loading drivers.
 * Its kind is not looked at, nor what follows `,xdp=`.
 */
export function whyNoDeviceText(specification: string): string {
  const [text = ""] = specification.split(",xdp=");
  const [, kind = "tap", rest = ""] = /^(?:([a-z]+):)?(.*)$/s.exec(text)!;
  let name = rest;
  try {
    if (kind === "memif") return whyNoMemifText(rest);
    if (kind === "xdp") ({ name } = readDevice(kind, rest, XDP_SETTINGS));
  } catch (error) {
    return (error as TypeError).message;
  }
  if (kind !== "tap" && kind !== "xdp" && kind !== "packet") return "";
  const isName = /^[^\s/:\0]+$/.test(name) && name !== "." && name !== "..";
  if (isName && Buffer.byteLength(name) <= INTERFACE_NAME_BYTES) return "";
  const expected = `an interface's name of up to ${INTERFACE_NAME_BYTES} bytes without blanks, colons and slashes`;
  return `${kind}: expected ${expected}, got ${JSON.stringify(name)}`;
}

/** Throws `TypeError` for settings that are none. */
function whyNoMemifText(text: string): string {
  const device = text.replace(/^server:/, "");
  const { name: path, settings } = readDevice<MemifLimited>("memif", device, MEMIF_SETTINGS);
  const pathBytes = Buffer.byteLength(path);
  if (path !== "" && pathBytes <= SOCKET_PATH_BYTES) return whyNoMemif(settings);
  return `memif: expected a socket path of 1 to ${SOCKET_PATH_BYTES} bytes, got one of ${pathBytes}`;
}

/**
 * Splits `NAME,key=value,word` and reads its settings by a table of the known ones. Throws
 * `TypeError` that names what is known for one that is not, or whose value makes no sense.
 */
export function readDevice<T>(
  kind: string,
  specification: string,
  settings: Readonly<Record<string, Setting>>,
): { readonly name: string; readonly settings: Partial<T> } {
  const [name = "", ...parts] = specification.split(",");
  const found: Record<string, string | number | boolean> = {};
  for (const part of parts) {
    const [key = "", value = ""] = part.split(/=(.*)/s);
    const setting = Object.hasOwn(settings, key) ? settings[key] : undefined;
    const result = setting?.read(value);
    if (result === undefined) {
      const known = Object.entries(settings).map(([k, { form }]) => k + form);
      throw new TypeError(
        `${kind}: expected ${known.join(", ")} after ${name}, got ${JSON.stringify(part)}`,
      );
    }
    found[key] = result;
  }
  return { name, settings: found as Partial<T> };
}
