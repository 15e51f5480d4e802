/** What the parts of the steering program share: its stack, its labels, and reading network order. */
import type { Assembler } from "../ebpf/asm.js";
import { R1, R4, R5, R6, R7, R8, R10, type Register } from "../ebpf/registers.js";
import type { SteeringCounterName } from "./steering-counters.js";
import { FLOW_KEY_BYTES, PORT_KEY_BYTES } from "./steering-layout.js";
import { RX_QUEUE_INDEX_AT } from "./xdp-context.js";

/** Places on the stack, from r10; those of keys are multiples of 8. */
export const FLOW: number = -FLOW_KEY_BYTES;
/** A port key in 24 bytes. */
export const PORT: number = FLOW - PORT_KEY_BYTES - 4;
/** One of {@link Kind}, 4 bytes. */
export const KIND: number = PORT - 4;
/** Of a fragment, 4 bytes. */
export const IDENTIFICATION: number = KIND - 4;
/** A value to be stored or an array's index, 8 bytes. */
export const SCRATCH: number = IDENTIFICATION - 8;
/** What the kernel looks its own sockets up by, `struct bpf_sock_tuple`: up to 36 bytes. */
export const TUPLE: number = SCRATCH - 40;
/** The flags of a TCP segment, 4 bytes; 0 when the frame ends before them, and for all else. */
export const TCP_FLAGS: number = TUPLE - 4;

/** What the frame at hand is. */
export const Kind = { WHOLE: 0, FIRST_FRAGMENT: 1, QUOTED: 2 } as const;

/** Reasons to leave a frame to the kernel; each is a label that counts and passes. */
const PASS_REASONS = [
  "unclaimed",
  "otherProtocols",
  "notIp",
  "otherVlans",
  "unknownFragments",
  "malformed",
] as const satisfies readonly SteeringCounterName[];
export type PassReason = (typeof PASS_REASONS)[number];

export const PASS_LABEL = Object.fromEntries(
  PASS_REASONS.map((reason) => [reason, `pass.${reason}`]),
) as Readonly<Record<PassReason, string>>;

/** A 16-bit number of a frame as a load on this little-endian host gives it. */
export const networkOrder = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);

/** Headers are followed up to this offset. */
const LAST_HEADER_AT = 0x3fff;

/**
 * Makes r5 the address of the header at offset r7, of which `n` bytes are there: frames that end
 * before pass. Destroys r1.
 */
export function emitHeader(a: Assembler, n: number): void {
  a.mov(R5, R4);
  a.add(R5, R7);
  a.mov(R1, R5);
  a.add(R1, n);
  a.jumpIf(R1, ">", R8, PASS_LABEL.malformed);
}

/**
 * Makes the verifier forget by which way r7 came to its value: two exclusive ors with a number that it
 * cannot know. It then looks at what follows once, and not once for every combination of headers
 * before; without this, more than a million instructions. Destroys r1.
 */
export function emitForget(a: Assembler): void {
  a.load("u32", R1, R6, RX_QUEUE_INDEX_AT);
  a.alu("xor", R7, R1);
  a.alu("xor", R7, R1);
  a.jumpIf(R7, ">", LAST_HEADER_AT, PASS_LABEL.otherProtocols);
}

/** dst = the address of a place on the stack. */
export function emitAddress(a: Assembler, dst: Register, at: number): void {
  a.mov(dst, R10);
  a.add(dst, at);
}
