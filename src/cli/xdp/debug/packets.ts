/** The packets of a capture, each with the maps as all before it left them. */
import type { DecodedProgram } from "../../../ebpf/decode.js";
import { XdpInstance } from "../../../ebpf/instance.js";
import type { BpfObject } from "../../../ebpf/object.js";
import type { Captured } from "../page/captured.js";
import { SEED } from "../runner.js";
import { Stepper } from "./stepper.js";

export interface PacketsOptions {
  readonly program: string;
  readonly maxEntries: Readonly<Record<string, number>>;
  /** Puts entries into the maps of a new instance. */
  readonly fill: (instance: XdpInstance) => void;
}

export class Packets {
  private readonly object: BpfObject;
  private readonly captured: Captured;
  private readonly options: PacketsOptions;
  private instance: XdpInstance;
  private readonly prints: string[] = [];
  /** Of the packet that was opened last, from 1. */
  number = 0;

  /** Throws `EbpfError`. */
  constructor(object: BpfObject, captured: Captured, options: PacketsOptions) {
    this.object = object;
    this.captured = captured;
    this.options = options;
    this.instance = this.fresh(true);
  }

  get programs(): readonly DecodedProgram[] {
    return [this.instance.program];
  }

  private fresh(verifies: boolean): XdpInstance {
    const { program, maxEntries, fill } = this.options;
    const print = (line: string): void => void this.prints.push(line);
    const options = { program, maxEntries, verifies, seed: SEED, print };
    const instance = XdpInstance.open(this.object, options);
    fill(instance);
    return instance;
  }

  /** Packet `number`, from 1, before its first instruction. Throws RangeError. */
  open(number: number): Stepper {
    const { captured } = this;
    const { length } = captured.packets;
    if (number > length)
      throw new RangeError(`there is no packet ${number}; the capture has ${length}`);
    if (!captured.isSeen(number - 1)) {
      throw new RangeError(
        `no program sees packet ${number}: it is not a whole Ethernet frame; try run ${number + 1}`,
      );
    }
    this.instance = this.fresh(false);
    for (let n = 0; n < number - 1; n++) {
      if (!captured.isSeen(n)) continue;
      this.instance.runtime.setTime(captured.timeOf(n));
      this.instance.run(captured.packets[n]!.bytes);
    }
    this.number = number;
    this.instance.runtime.setTime(captured.timeOf(number - 1));
    return new Stepper(this.instance, captured.packets[number - 1]!.bytes, this.prints);
  }
}
