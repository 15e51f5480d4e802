/**
 * A program on one packet, instruction by instruction, forwards and backwards. Going anywhere runs the packet from
 * its start again, with the memory as it was, up to the instruction that is wanted: what is seen is the
 * interpreter's own state, never a model of it.
 */
import { Random } from "../../../base/random.js";
import { type DecodedProgram, STRIDE } from "../../../ebpf/decode.js";
import { EbpfError } from "../../../ebpf/ebpf-error.js";
import { Guard } from "../../../ebpf/guard.js";
import type { XdpInstance } from "../../../ebpf/instance.js";
import type { PlacedInstruction } from "../../../ebpf/instructions.js";
import { Interpreter } from "../../../ebpf/interp.js";
import { CallKind, Class, Jmp } from "../../../ebpf/isa.js";
import { type Runtime, STACK_BYTES } from "../../../ebpf/runtime.js";
import { type RegisterType, RegisterTypes } from "./register-types.js";

export interface Frame {
  readonly program: DecodedProgram;
  readonly word: number;
}

/** Where a packet is: before an instruction, or done. */
export interface Place extends Frame {
  /** Instructions that have run. */
  readonly step: number;
  /** Calls above, the outermost first. */
  readonly callers: readonly Frame[];
}

/** How a packet ended: a verdict, or why there is none. */
export interface Ending {
  readonly verdict: number;
  readonly problem: string | null;
}

/** Whether to stop before the instruction at a place. */
export type StopWhen = (place: Place, before: Place | null) => boolean;

/** Ends a run of the interpreter. It passes errors that name their instruction on as they are. */
class Pause extends EbpfError {
  constructor() {
    super("EINVAL", "debug: instruction reached");
  }
}

/** Looks at every instruction before it runs. */
class Watch extends Guard {
  readonly types: RegisterTypes;
  place: Place | null = null;
  private readonly seen: Runtime;
  private readonly programs: ReadonlyMap<Int32Array, DecodedProgram>;
  private readonly stops: StopWhen;
  private callers: Frame[] = [];
  private last: { readonly i: PlacedInstruction; readonly at: number } | null = null;
  private step = 0;

  constructor(
    runtime: Runtime,
    programs: ReadonlyMap<Int32Array, DecodedProgram>,
    stops: StopWhen,
  ) {
    super(runtime);
    this.seen = runtime;
    this.programs = programs;
    this.stops = stops;
    this.types = new RegisterTypes(runtime);
  }

  override begin(): void {
    this.types.begin();
  }

  override check(code: Int32Array, pc: number): void {
    const program = this.programs.get(code)!;
    const i = program.instructions[pc / STRIDE]!;
    const before = this.place;
    if (this.last !== null) this.follow(this.last.i, this.last.at, program, before!);
    const place = { program, word: i.word, step: this.step, callers: this.callers };
    this.place = place;
    if (this.stops(place, before)) throw new Pause();
    this.last = { i, at: this.types.addressOf(i) };
    this.step++;
  }

  /** What the last instruction did to types and calls. */
  private follow(i: PlacedInstruction, at: number, now: DecodedProgram, before: Place): void {
    const { registers, stackAt } = this.seen;
    const depth = (registers[20]! - stackAt) / STACK_BYTES - 1;
    this.types.ran(i, at);
    if (depth > this.callers.length) {
      const isLocal =
        i.opcode === (Class.JMP | Jmp.CALL) &&
        (i.src === CallKind.LOCAL || this.callers.length + 1 < depth);
      this.callers = [...this.callers, { program: before.program, word: before.word }];
      this.types.enter(!isLocal);
    } else if (depth < this.callers.length) {
      this.callers = this.callers.slice(0, depth);
      this.types.leave();
    } else if (now !== before.program) {
      this.types.begin();
    }
  }
}

export class Stepper {
  readonly instance: XdpInstance;
  /** What `bpf_trace_printk` wrote up to here. */
  readonly prints: string[];
  private readonly packet: Uint8Array;
  private readonly programs = new Map<Int32Array, DecodedProgram>();
  private readonly memory: Uint8Array;
  private readonly maps: readonly Readonly<Record<string, number>>[];
  private readonly random = new Random(0);
  place: Place | null = null;
  types: readonly RegisterType[] = [];
  ending: Ending | null = null;

  /** The instance is as the packet finds it; `prints` is what its hook writes to. */
  constructor(instance: XdpInstance, packet: Uint8Array, prints: string[]) {
    this.instance = instance;
    this.packet = packet;
    this.prints = prints;
    const { runtime, program } = instance;
    this.programs.set(program.code, program);
    this.memory = runtime.bytes.slice(0, runtime.memory.take(0, "nothing"));
    // What maps keep beside the memory are numbers.
    this.maps = runtime.maps.map((map) =>
      Object.fromEntries(Object.entries(map).filter(([, value]) => typeof value === "number")),
    );
    this.random.copyFrom(runtime.random);
    this.goTo(0);
  }

  /** Runs from the start until so many instructions have run, or to the end. */
  goTo(step: number): void {
    this.run((place) => place.step >= step);
  }

  /** Goes on until a place is where `stops` says, or to the end. */
  goOn(stops: StopWhen): void {
    const from = this.place?.step ?? 0;
    this.run((place, before) => place.step > from && stops(place, before));
  }

  private run(stops: StopWhen): void {
    this.restore();
    const { instance, programs } = this;
    const watch = new Watch(instance.runtime, programs, stops);
    const interpreter = new Interpreter(instance.program, instance.runtime, {
      guard: watch,
      tailTarget: (mapAt, index) => {
        const target = instance.tailTarget(mapAt, index);
        if (target !== null) programs.set(target.code, target);
        return target;
      },
    });
    this.ending = null;
    try {
      this.ending = { verdict: interpreter.run(), problem: null };
    } catch (error) {
      if (!(error instanceof Pause)) {
        if (!(error instanceof EbpfError)) throw error;
        this.ending = { verdict: 0, problem: error.message };
      }
    }
    this.place = watch.place;
    this.types = [...watch.types.types];
  }

  private restore(): void {
    const { runtime } = this.instance;
    runtime.bytes.set(this.memory);
    for (const [n, numbers] of this.maps.entries()) Object.assign(runtime.maps[n]!, numbers);
    runtime.random.copyFrom(this.random);
    this.prints.length = 0;
    this.instance.place(this.packet);
  }
}
