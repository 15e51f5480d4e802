/**
 * XDP programs on interfaces, attached by bpf_link: the program leaves the interface when the last
 * descriptor of the link is closed, and so when this process ends, whatever ends it.
 */
import { readFileSync } from "node:fs";
import * as errno from "../base/errno.js";
import { errnoName, errnoText } from "../base/errno.js";
import { addon } from "./addon.js";
import { privilegeHint } from "./bpf-map.js";
import { programById } from "./bpf-program.js";
import { check, failure, type Hints } from "./check.js";
import { closeFd } from "./fd.js";

/**
 * Where a program runs: in the driver, before the kernel makes a packet buffer, or after that,
 * which every driver can.
 */
export type XdpMode = "native" | "generic";

/** Interfaces that a message names. */
const MOST_NAMED = 16;

/** `XDP_FLAGS_…` of linux/if_link.h. */
const MODE_FLAGS: Readonly<Record<XdpMode, number>> = { generic: 1 << 1, native: 1 << 2 };

/** Names of `XDP_ATTACHED_…`. */
const ATTACHED = ["none", "native", "generic", "hardware", "several modes"] as const;

export interface XdpLinkOptions {
  readonly interfaceName: string;
  readonly programFd: number;
  /** `auto`: native, and generic where the driver cannot. */
  readonly mode: XdpMode | "auto";
}

export interface AttachedProgram {
  readonly mode: (typeof ATTACHED)[number];
  readonly id: number;
  /** Empty when this user may not look, or it has none. */
  readonly name: string;
}

/** A program on an interface. */
export class XdpLink {
  readonly mode: XdpMode;
  /** Why the mode is generic although native was to be tried; null when it was not, or worked. */
  readonly fallbackReason: string | null;
  private fd: number;

  private constructor(fd: number, mode: XdpMode, fallbackReason: string | null) {
    this.fd = fd;
    this.mode = mode;
    this.fallbackReason = fallbackReason;
  }

  /** Attaches a loaded program. Throws `NetError`: EBUSY when the interface has one, which it names. */
  static attach(options: XdpLinkOptions): XdpLink {
    const { mode, interfaceName } = options;
    const index = interfaceIndex(interfaceName);
    if (mode !== "auto") return new XdpLink(attach(options, index, mode), mode, null);
    const native = addon().bpfLinkXdp(options.programFd, index, MODE_FLAGS.native);
    if (native >= 0) return new XdpLink(native, "native", null);
    if (!mayFallBack(native)) throw attachFailure(native, interfaceName, index, "native");
    const reason = `${interfaceName} takes no native XDP program: ${errnoName(native)} (${errnoText(native)})`;
    return new XdpLink(attach(options, index, "generic"), "generic", reason);
  }

  /** Takes the program off the interface. Idempotent. */
  close(): void {
    if (this.fd < 0) return;
    const fd = this.fd;
    this.fd = -1;
    closeFd(fd);
  }
}

/** The kernel's number of an interface. Throws `NetError` ENODEV, which names those that there are. */
export function interfaceIndex(name: string): number {
  const index = addon().interfaceIndex(name);
  if (index > 0) return index;
  return check(index === -errno.EINVAL ? -errno.ENODEV : index, "if_nametoindex", {
    [errno.ENODEV]: `there is no interface ${name === "" ? '""' : name} in this network namespace${othersThere()}`,
  });
}

/** `, only lo, eth0`; "" when that is not known. */
function othersThere(): string {
  let table: string;
  try {
    table = readFileSync("/proc/thread-self/net/dev", "utf8");
  } catch {
    return "";
  }
  const names = [...table.matchAll(/^ *([^:\n]+):/gm)].map((match) => match[1]!);
  const shown = names.slice(0, MOST_NAMED);
  const more = names.length > shown.length ? `, and ${names.length - shown.length} more` : "";
  return shown.length === 0 ? "" : `, only ${shown.join(", ")}${more}`;
}

/** The XDP program on an interface now, whoever attached it; null when there is none. */
export function attachedXdp(interfaceName: string): AttachedProgram | null {
  return attachedAt(interfaceIndex(interfaceName));
}

function attachedAt(index: number): AttachedProgram | null {
  const results = new Int32Array(2);
  check(addon().xdpQuery(index, results), "rtnetlink RTM_GETLINK");
  if (results[0] === 0) return null;
  const id = results[1]!;
  return { mode: ATTACHED[results[0]!] ?? "several modes", id, name: programById(id)?.name ?? "" };
}

function attach(options: XdpLinkOptions, index: number, mode: XdpMode): number {
  const fd = addon().bpfLinkXdp(options.programFd, index, MODE_FLAGS[mode]);
  if (fd < 0) throw attachFailure(fd, options.interfaceName, index, mode);
  return fd;
}

/** What another mode cannot mend: privilege, another program, no interface, no room. */
function mayFallBack(result: number): boolean {
  const final = [errno.EPERM, errno.EACCES, errno.EBUSY, errno.EEXIST, errno.ENODEV, errno.EMFILE];
  return !final.includes(-result);
}

function attachFailure(result: number, interfaceName: string, index: number, mode: XdpMode): Error {
  const hints = attachHints(interfaceName, mode);
  const taken = -result === errno.EBUSY || -result === errno.EEXIST;
  const program = taken ? attachedAt(index) : null;
  if (program === null) return failure(result, "bpf BPF_LINK_CREATE", hints);
  const name = program.name === "" ? "" : ` "${program.name}"`;
  return failure(-errno.EBUSY, "bpf BPF_LINK_CREATE", {
    [errno.EBUSY]: `${interfaceName} has another XDP program already (${program.mode}, id ${program.id}${name}); end the process that owns it (bpftool link, bpftool prog show id ${program.id}), or, when it was left behind: ip link set dev ${interfaceName} xdp off`,
  });
}

function attachHints(interfaceName: string, mode: XdpMode): Hints {
  const mtu = `ip link set dev ${interfaceName} mtu 1500`;
  const cannot =
    mode === "native"
      ? `the driver of ${interfaceName} takes no native program, or not with this MTU (${mtu}) or these offloads; generic mode works with every driver`
      : `${interfaceName} takes no generic program with its present settings (${mtu}; ethtool -K ${interfaceName} lro off)`;
  return {
    [errno.EPERM]: privilegeHint(),
    [errno.EINVAL]: `${cannot}; links of XDP programs need Linux 5.9`,
    [errno.EOPNOTSUPP]: cannot,
    [errno.ERANGE]: cannot,
    [errno.ENODEV]: `the interface ${interfaceName} is gone`,
    [errno.ENOSPC]: `${interfaceName} has too few queues for native XDP: ethtool -L ${interfaceName} combined N`,
  };
}
