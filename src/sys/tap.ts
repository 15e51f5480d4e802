/**
 * TAP interfaces of Linux: opening, configuring, and moving frames in batches. The driver is
 * `nic/tap.ts`.
 *
 * An interface that this call creates disappears when its descriptor is closed. One that root made
 * for a user (`ip tuntap add … user`) needs no privilege and stays.
 */
import * as errno from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { addon } from "./addon.js";
import { check, failure, type Hints } from "./check.js";

const TUN_PATH = "/dev/net/tun";
/** IFNAMSIZ less the terminating zero. */
const NAME_BYTES = 15;
/** The virtio-net header in front of each frame, VIRTIO 1.2 §5.1.6. */
export const VIRTIO_HEADER_BYTES = 12;

/** What the kernel may leave undone in the frames that it gives us. */
export const TapOffload = {
  NONE: 0,
  /** Checksums, and TCP segments of up to 64 KiB. */
  TCP: 1,
  /** UDP segmentation too; from Linux 6.2 on. */
  TCP_UDP: 2,
} as const;

export interface TapOptions {
  /** Up to 15 bytes; a `%d` in it becomes a free number. Empty: the kernel chooses `tap%d`. */
  readonly name: string;
  /** Several descriptors share the interface, one queue each. */
  readonly isMultiQueue: boolean;
  /** The highest {@link TapOffload} wanted. */
  readonly offload: number;
}

export interface OpenTap {
  readonly fd: number;
  readonly name: string;
  /** The {@link TapOffload} in force. */
  readonly offload: number;
}

/** Opens a TAP interface, created when it does not exist. The caller closes the descriptor. */
export function openTapFd(options: TapOptions): OpenTap {
  checkName(options.name);
  const fd = check(addon().tapOpen(TUN_PATH), `open ${TUN_PATH}`, OPEN_HINTS);
  try {
    const attached = addon().tapAttach(fd, options.name, options.isMultiQueue ? 1 : 0);
    check(attached, "ioctl TUNSETIFF", attachHints(options.name || "tap0"));
    check(addon().tapHeader(fd), "ioctl TUNSETVNETHDRSZ");
    const offload = check(addon().tapOffload(fd, options.offload), "ioctl TUNSETOFFLOAD");
    return { fd, name: tapName(fd), offload };
  } catch (error) {
    addon().fdClose(fd);
    throw error;
  }
}

/** The interface's name, which may change while it is open. */
export function tapName(fd: number): string {
  const name = addon().tapName(fd);
  if (typeof name === "number") throw failure(name, "ioctl TUNGETIFF");
  return name;
}

/** The six bytes of the kernel's end of the interface. */
export function interfaceMac(name: string): Uint8Array {
  const mac = new Uint8Array(6);
  check(addon().interfaceMac(name, mac), "ioctl SIOCGIFHWADDR", missingHint(name));
  return mac;
}

/** Sets the address of the kernel's end. */
export function setInterfaceMac(name: string, mac: Uint8Array): void {
  const hints = configureHints(name, "address MAC");
  check(addon().interfaceSetMac(name, mac), "ioctl SIOCSIFHWADDR", hints);
}

export function interfaceMtuBytes(name: string): number {
  return check(addon().interfaceMtu(name), "ioctl SIOCGIFMTU", missingHint(name));
}

export function setInterfaceMtuBytes(name: string, mtuBytes: number): void {
  const hints = {
    ...configureHints(name, `mtu ${mtuBytes}`),
    [errno.EINVAL]: `expected an MTU from 68 to 65521, got ${mtuBytes}`,
  };
  check(addon().interfaceSetMtu(name, mtuBytes), "ioctl SIOCSIFMTU", hints);
}

/** Whether the administrator has the interface up. Takes a few system calls. */
export function interfaceIsUp(name: string): boolean {
  return check(addon().interfaceIsUp(name), "ioctl SIOCGIFFLAGS", missingHint(name)) === 1;
}

export function setInterfaceUp(name: string, isUp: boolean): void {
  const hints = configureHints(name, isUp ? "up" : "down");
  check(addon().interfaceSetUp(name, isUp ? 1 : 0), "ioctl SIOCSIFFLAGS", hints);
}

function checkName(name: string): void {
  const isLegal = /^[^\s/:]*$/.test(name) && name !== "." && name !== "..";
  if (isLegal && Buffer.byteLength(name) <= NAME_BYTES && !name.includes("\0")) return;
  throw new NetError(errno.EINVAL, {
    syscall: "ioctl TUNSETIFF",
    hint: `expected an interface name of up to ${NAME_BYTES} bytes without blanks, colons and slashes, got ${JSON.stringify(name)}`,
  });
}

const OPEN_HINTS: Hints = {
  [errno.ENOENT]:
    "the TAP driver is not there: run modprobe tun; in a container, add the device (docker run --device /dev/net/tun)",
  [errno.ENODEV]: "the TAP driver is not loaded: run modprobe tun",
  [errno.ENXIO]: "the TAP driver is not loaded: run modprobe tun",
  [errno.EACCES]: "this user may not open it: run as root, or have root run chmod 666 /dev/net/tun",
  [errno.EPERM]:
    "the container forbids it: add the device (docker run --device /dev/net/tun) and CAP_NET_ADMIN",
};

function attachHints(name: string): Hints {
  const byRoot = `ip tuntap add dev ${name} mode tap user $USER vnet_hdr`;
  return {
    [errno.EPERM]: `needs CAP_NET_ADMIN in this network namespace: run as root, or in unshare -Urn, or have root create the interface for you: ${byRoot}`,
    [errno.EBUSY]: `another process has ${name} open; close it or choose another name (ss does not show it: lsof /dev/net/tun)`,
    [errno.EINVAL]: `${name} exists and is no TAP interface, or differs in multi_queue; see ip -d link show ${name}`,
    [errno.EEXIST]: `${name} exists and is no TAP interface; choose another name`,
  };
}

function configureHints(name: string, setting: string): Hints {
  return {
    ...missingHint(name),
    [errno.EPERM]: `needs CAP_NET_ADMIN in this network namespace; have root run: ip link set ${name} ${setting}`,
  };
}

function missingHint(name: string): Hints {
  return { [errno.ENODEV]: `there is no interface ${name} in this network namespace` };
}
