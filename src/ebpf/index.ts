/**
 * `millrace/ebpf`: XDP programs as clang makes them, loaded, verified and run on packets in this process;
 * assembled, disassembled; their maps. docs/ebpf.md has the manual.
 */

export { Assembler } from "./asm.js";
export { assembleText } from "./asm-text.js";
export { type AssembledProgram, linkMaps } from "./assembled-program.js";
export { Btf } from "./btf.js";
export { decodeValue, encodeValue, type Readable } from "./btf-value.js";
export { BurstAt, type BurstRunner, setRecord } from "./burst.js";
export { disassemble } from "./disasm.js";
export { EbpfError, type EbpfErrorCode } from "./ebpf-error.js";
export {
  type EngineName,
  type PacketContext,
  XdpInstance,
  type XdpOptions,
  type XdpResult,
} from "./instance.js";
export { LinearMap } from "./linear-map.js";
export { LinearMemory } from "./linear-memory.js";
export type { MapDefinition } from "./map-definition.js";
export { MapType, UpdateFlag } from "./map-type.js";
export { type BpfObject, type ObjectProgram, type ParseOptions, parseObject } from "./object.js";
export { R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10, Register } from "./registers.js";
export { RingMap } from "./ring-map.js";
export type { RuntimeHooks } from "./runtime.js";
export { VerifyError, type VerifyResult } from "./verify.js";
export { verifyProgram } from "./verify-program.js";
export { verdictName, XdpVerdict } from "./xdp-verdict.js";
