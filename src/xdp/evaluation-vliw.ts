/** Cycles that packets take on a VLIW processor: table T5. */
import type { ObjectProgram } from "../ebpf/object.js";
import { meanOverPackets, type ProgramProfile } from "./evaluation.js";
import { HXDP_MACHINE, type VliwMachine } from "./vliw.js";
import { scheduleProgram } from "./vliw-program.js";
import { scheduleTrace, type VliwTraceOptions } from "./vliw-trace.js";

/** Finding the trace, before its first row: the match stage. A packet's cycles include it. */
export const MATCH_CYCLES = 1;

export interface VliwTable {
  /** Mean over packets: instructions that the program executes, operations of the trace, rows. */
  readonly executed: number;
  readonly operations: number;
  readonly cycles: number;
  /** Million packets a second of one processor. */
  readonly mpps: number;
  /** Of the whole program: instructions and rows, and instructions a row. */
  readonly programInstructions: number;
  readonly programRows: number;
}

export function withMachine(changes: {
  readonly lanes?: number;
  readonly lookup?: number;
  readonly memoryPorts?: number;
}): VliwMachine {
  const { lanes = HXDP_MACHINE.lanes, lookup, memoryPorts = HXDP_MACHINE.memoryPorts } = changes;
  const latency = lookup === undefined ? HXDP_MACHINE.latency : { ...HXDP_MACHINE.latency, lookup };
  return { ...HXDP_MACHINE, lanes, memoryPorts, guardsPerRow: lanes, latency };
}

/** Mean cycles of a packet, the match stage's included. */
export function cyclesPerPacket(
  profile: ProgramProfile,
  machine: VliwMachine,
  options: VliwTraceOptions = {},
): number {
  const cycles = meanOverPackets(
    profile,
    ({ trace }) => scheduleTrace(trace, profile.expressions, machine, options).schedule.cycles,
  );
  return cycles + MATCH_CYCLES;
}

export function vliwTable(
  profile: ProgramProfile,
  program: ObjectProgram,
  machine: VliwMachine,
): VliwTable {
  const cycles = cyclesPerPacket(profile, machine);
  const { instructions, rows } = scheduleProgram(program, machine);
  return {
    executed: meanOverPackets(profile, ({ trace }) => trace.executed),
    operations: meanOverPackets(
      profile,
      ({ trace }) => scheduleTrace(trace, profile.expressions, machine).operations.length,
    ),
    cycles,
    mpps: machine.clockMhz / cycles,
    programInstructions: instructions,
    programRows: rows,
  };
}
