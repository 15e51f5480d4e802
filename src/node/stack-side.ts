/**
 * The stack of an accelerated program, made when the first socket needs it: loading it and opening
 * the device are too much for a program that never opens one.
 *
 * Loaded by `accelerator.ts` alone, and late: nothing of `millrace/register` may import it.
 */
import { createRequire } from "node:module";
import { isMainThread, threadId } from "node:worker_threads";
import type { IpAddress } from "../base/ip-address.js";
import type { Device } from "../nic/device.js";
import { createHost, type HostOptions } from "../socket/create-host.js";
import type { Host } from "../socket/host.js";
import { Runner } from "../socket/runner.js";
import type { Stack } from "../socket/stack.js";
import { keepFreedMemory } from "../sys/memory.js";
import { NodeEventLoop } from "./event-loop.js";
import { printLine } from "./natives.js";
import { type NodeSettings, nameOf, spinUsOf } from "./settings.js";

/** The stack's loopback interface is its first. */
const LOOPBACK_INDEX = 1;
/** What closed connections have sent keeps an ending process alive for so long at most. */
const LINGER_US = 3_000_000;
/** A memif server that is there answers within this, on a busy machine too. */
const LINK_S = 3;
/** A memif's server end waits for its client as servers do. */
const IS_SERVER = /^memif:server:|,role=server(,|$)/;
/** As {@link LINGER_US}, for a process that is made to end. */
const EXIT_MS = 100;

/** Buffers of data that was read come and go: more than lie between two collections. */
const FREED_BYTES = 16 << 20;

/** The drivers are as much as the stack: they are loaded where there is a device. */
const require = createRequire(import.meta.url);
const loadDevices = (): typeof import("../socket/open-device.js") =>
  require("../socket/open-device.js");

export class StackSide {
  readonly host: Host;
  readonly stack: Stack;
  readonly runner: Runner;
  readonly device: Device | null;
  /** Null where nobody is called bare. */
  readonly eventLoop: NodeEventLoop | null;

  private constructor(host: Host, runner: Runner, device: Device | null) {
    this.host = host;
    this.stack = host.stack;
    this.runner = runner;
    this.device = device;
    this.eventLoop = runner.eventLoop as NodeEventLoop | null;
  }

  /** Opens the device and builds the host. Throws `Error`, saying what is wrong with which setting. */
  static open(settings: NodeSettings, tellsAsIo: boolean): StackSide {
    keepFreedMemory(FREED_BYTES);
    const runner = tellsAsIo
      ? new Runner({ tellsAsIo, eventLoop: NodeEventLoop.open })
      : new Runner();
    const common: HostOptions = {
      name: "node",
      runner,
      spinUs: spinUsOf(settings.profile),
    };
    const { nic } = settings;
    if (nic === undefined) return new StackSide(createHost(common), runner, null);
    const { openDevice, TO_TALK } = loadDevices();
    const { device, pool } = naming(
      () => openDevice(ownName(nic), TO_TALK),
      () => "nic",
    );
    const host = naming(
      () =>
        createHost({
          ...common,
          device,
          pool,
          ...(settings.addresses === undefined ? {} : { addresses: settings.addresses }),
          ...(settings.gateways === undefined ? {} : { gateway: settings.gateways }),
        }),
      ({ code }) => (code === "ENETUNREACH" ? "gateways" : "addresses"),
    );
    if ("leavesPayload" in device) device.leavesPayload = true;
    // What is sent before the link is up fails.
    const waitS = settings.linkWait ?? LINK_S;
    const isClient = device.kind === "memif" && !IS_SERVER.test(nic);
    if (isClient && !host.runUntil(() => device.isUp, waitS * 1_000)) warnOfNoPeer(nic, waitS);
    return new StackSide(host, runner, device);
  }

  /** Whether the kernel has the device's addresses, too. */
  get isShared(): boolean {
    return this.device?.filter !== undefined;
  }

  /** Whether a socket of this stack listens there. */
  hasListener(address: IpAddress, port: number): boolean {
    return this.stack.tcpPorts.findListener(address, port, LOOPBACK_INDEX, 0) >= 0;
  }

  /** Whether a UDP socket of this stack would get a datagram to there. */
  hasUdp(to: IpAddress, port: number, from: IpAddress, fromPort: number): boolean {
    return this.stack.udp.demux.find(to, port, from, fromPort, LOOPBACK_INDEX) !== null;
  }

  /** A connection was closed by the program; what it has sent must arrive all the same. */
  lingers(): void {
    this.host.lingerUntilUs = this.stack.nowUs + LINGER_US;
  }

  /** The process ends: connections are closed, and peers get a moment to acknowledge. */
  end(): void {
    if (this.device === null) return; // nobody else is there
    this.host.enter();
    this.host.releaseSockets();
    this.runner.runUntil(() => !this.stack.hasUndelivered, EXIT_MS);
    this.host.close();
  }
}

function warnOfNoPeer(nic: string, waitS: number): void {
  printLine(
    `millrace: ${nameOf("nic")}: nobody answers at ${nic} after ${waitS} s; what is sent fails with ENETDOWN until somebody does: start the server before, or wait longer, ${nameOf("linkWait")}`,
  );
}

/** What goes wrong says which setting it is, and keeps the code of the system's or of Millrace's error. */
function naming<T>(make: () => T, which: (error: NodeJS.ErrnoException) => keyof NodeSettings): T {
  try {
    return make();
  } catch (cause) {
    if (!(cause instanceof Error)) throw cause;
    const { code, errno, syscall }: NodeJS.ErrnoException = cause;
    const error = new Error(`${nameOf(which(cause))}: ${cause.message}`, { cause });
    throw Object.assign(error, code === undefined ? {} : { code, errno, syscall });
  }
}

/** `%w` in a device's name is the worker thread's number, 0 for the main one: each needs its own. */
function ownName(nic: string): string {
  if (nic.includes("%w")) return nic.replaceAll("%w", String(threadId));
  // The main thread leaves the name of its device there.
  if (isMainThread || nic !== process.env.MILLRACE_PARENT_NIC) return nic;
  throw new TypeError(
    `worker thread ${threadId} cannot share ${nic} with the main thread; give it its own MILLRACE_NIC in the Worker's env, or write %w for the thread's number in the device's name`,
  );
}
