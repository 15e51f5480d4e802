/** An engine as a process runs it: its configuration made real, statistics, and the loop. */
import { NetError } from "../base/errors.js";
import { PlacedError } from "../base/placed-error.js";
import { NEVER } from "../base/time.js";
import { EbpfError } from "../ebpf/ebpf-error.js";
import type { XdpInstance } from "../ebpf/instance.js";
import type { Pool } from "../ring/pool.js";
import { createPool } from "../socket/create-host.js";
import { openDevice, TO_TALK } from "../socket/open-device.js";
import { unwatchThread, watchThread } from "../sys/fd.js";
import { ChosenProgram } from "../xdp/chosen-program.js";
import { nowUs } from "./clock.js";
import type { EngineConfig } from "./config.js";
import { rulesOf } from "./decision.js";
import { Engine } from "./engine.js";
import { EngineLoop } from "./engine-loop.js";
import type { NetworkNic } from "./network.js";
import { type NicConfig, specificationOf } from "./nic-config.js";
import { DEFAULT_RINGS, type RingSettings } from "./opening.js";
import type { EnginePaths } from "./socket-path.js";
import { StatServer } from "./stat-server.js";
import type { Tell } from "./troubles.js";

/** Address space for programs: 10,000 connections, or a thousand programs, with rings to share. */
const PROGRAM_BYTES = 0x6800_0000;
/** Fewer slots than a host has, so that the two together stay below 2 GiB. */
const SLOTS = { smallSlots: 65_536, bigSlots: 1_024 } as const;
const US_PER_S = 1_000_000;
const LEAST_TCP_RING_BYTES = 4_096;

export class EngineService {
  readonly engine: Engine;
  private readonly stat: StatServer;
  private readonly loop: EngineLoop;
  private readonly pool: Pool;
  private whenEnded: () => void = () => {};

  /** Opens interfaces and the control socket. Throws `NetError` and what devices throw. */
  constructor(config: EngineConfig, paths: EnginePaths, version: string, tell: Tell) {
    this.pool = createPool({ ...SLOTS, peerBytes: PROGRAM_BYTES });
    const nics: NetworkNic[] = [];
    try {
      const rules = rulesOf(config.rules);
      for (const nic of config.nics) nics.push(openNic(nic, this.pool));
      this.engine = new Engine({
        pool: this.pool,
        nowUs: nowUs(),
        nics,
        network: config.network,
        paths,
        profile: config.profile,
        spinUs: config.spinUs,
        rules,
        loopback: config.loopback,
        rings: ringsOf(config),
        tell,
      });
    } catch (error) {
      for (const { device } of nics) device.close();
      this.pool.close();
      throw error;
    }
    this.stat = new StatServer(this.engine, version);
    this.loop = new EngineLoop(this.engine, {
      idleExitUs: config.keep ? NEVER : config.idleSeconds * US_PER_S,
      hasVisitors: () => this.stat.hasVisitors,
      onEnd: () => this.whenEnded(),
    });
  }

  /** Starts to serve; resolves once programs can come. */
  async start(): Promise<void> {
    try {
      await this.stat.start();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Serves until {@link stop}, or until nobody has needed it for the idle time. */
  async run(): Promise<void> {
    watchThread(); // the loop is this thread's
    await new Promise<void>((resolve) => {
      this.whenEnded = resolve;
      this.loop.start();
    });
    unwatchThread();
    this.close();
  }

  stop(): void {
    this.loop.stop();
  }

  private close(): void {
    this.stat.close();
    this.engine.close();
    this.pool.close();
  }
}

/** Throws what `openDevice` throws, or `PlacedError` if a file names the interface. */
function openNic(nic: NicConfig, pool: Pool): NetworkNic {
  const { addresses, gateway, routes, mtuBytes, places } = nic;
  try {
    const { device } = openDevice(specificationOf(nic), { ...TO_TALK, pool, tracing });
    return { device, addresses, gateway, routes, mtuBytes, places };
  } catch (error) {
    if (places === null || !isUsers(error)) throw error;
    const isDevices = nic.xdp === null || error instanceof NetError;
    throw places.error(isDevices ? "nic" : "xdp", error.message);
  }
}

/** Whether an error is what a user can do something about. */
const isUsers = (error: unknown): error is Error =>
  error instanceof NetError ||
  error instanceof EbpfError ||
  error instanceof PlacedError ||
  error instanceof TypeError ||
  (error instanceof Error && "syscall" in error);

/** XDP programs as traces, where engine=trace asks for it and they are faster. */
const tracing = (instance: XdpInstance): ChosenProgram => new ChosenProgram(instance);

function ringsOf(config: EngineConfig): RingSettings {
  const { receive, send } = config.ringBytes;
  const half = (bytes: number): number => Math.max(LEAST_TCP_RING_BYTES, bytes >> 1);
  return {
    udp: { rxBytes: receive, txBytes: send },
    tcp: { rxBytes: half(receive), txBytes: half(send) },
    listener: DEFAULT_RINGS.listener,
  };
}
