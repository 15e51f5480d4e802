/** Packets run in bursts, as a device's are. */
import { BurstAt, type BurstRunner, setRecord } from "../../src/ebpf/burst.js";
import { XdpInstance, type XdpOptions } from "../../src/ebpf/instance.js";
import { LinearMemory } from "../../src/ebpf/linear-memory.js";
import type { BpfObject } from "../../src/ebpf/object.js";

export const BURST_PACKETS = 64;
/** As frames of drivers are, and of `XdpInstance.run`. */
const HEADROOM_BYTES = 256;
const FRAME_BYTES = 4096;
const HARD_END_BYTES = FRAME_BYTES - 320;

/** Opens an instance whose memory has room for a burst besides. */
export function openForBursts(object: BpfObject, options: XdpOptions): XdpInstance {
  const room = BURST_PACKETS * (FRAME_BYTES + BurstAt.BYTES) + 64;
  const memory = LinearMemory.create(XdpInstance.neededBytes(object, options) + room);
  return XdpInstance.open(object, { ...options, memory });
}

export class Bursts {
  private readonly memory: LinearMemory;
  private readonly runner: BurstRunner;
  private readonly recordsAt: number;
  private readonly framesAt: number;
  /** Calls that there were. */
  calls = 0;

  constructor(instance: XdpInstance, runner: BurstRunner) {
    this.memory = instance.runtime.memory;
    this.runner = runner;
    this.recordsAt = this.memory.take(BURST_PACKETS * BurstAt.BYTES, "records");
    this.framesAt = this.memory.take(BURST_PACKETS * FRAME_BYTES, "frames");
  }

  /** Runs at most {@link BURST_PACKETS}; what became of each. */
  run(packets: readonly Uint8Array[]): { verdict: number; packet: Uint8Array }[] {
    const { bytes, words } = this.memory;
    for (const [n, packet] of packets.entries()) {
      const start = this.framesAt + n * FRAME_BYTES;
      const at = start + HEADROOM_BYTES;
      bytes.set(packet, at);
      const end = at + packet.length;
      setRecord(words, this.record(n), [at, end, start, Math.max(start + HARD_END_BYTES, end)]);
    }
    for (let n = 0; n < packets.length; ) {
      n += this.runner.runBurst(this.record(n), packets.length - n);
      this.calls++;
      if (this.runner.burstError !== null) throw this.runner.burstError;
    }
    return packets.map((_, n) => {
      const word = (at: number): number => words[(this.record(n) + at) >>> 2]!;
      const packet = bytes.slice(word(BurstAt.AT), word(BurstAt.END));
      return { verdict: word(BurstAt.VERDICT), packet };
    });
  }

  private record(n: number): number {
    return this.recordsAt + n * BurstAt.BYTES;
  }
}
