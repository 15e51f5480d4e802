/**
 * The part of the steering program that knows of the kernel's connections: a TCP connection that the
 * kernel has at a claimed port stays the kernel's. It may be older than the claim, or another server's
 * that has the port in common with Millrace's. Who listens there is no reason: such sockets hold the
 * port for Millrace. Segments that begin a connection are Millrace's without a look-up.
 */
import type { Assembler } from "../ebpf/asm.js";
import { R0, R1, R2, R3, R4, R5, R6, R7, R9, R10 } from "../ebpf/registers.js";
import * as protocols from "../wire/ip-protocol.js";
import { steeringCounter } from "./steering-counters.js";
import { LOCAL_PORT_AT, PROTOCOL_AT, REMOTE_AT, REMOTE_PORT_AT } from "./steering-layout.js";
import { emitAddress, FLOW, TCP_FLAGS, TUPLE } from "./steering-stack.js";

const MAPPED_WORD = 0xffff_0000;
/** Of an IPv4 address in its place of sixteen bytes. */
const IPV4_AT = 12;

/** TCP's flags byte, and what it says of a new connection's first segment. */
const SYN = 0x02;
const SYN_ACK = 0x12;
/** `BPF_F_CURRENT_NETNS`: that of the interface. */
const CURRENT_NETNS = -1;
/** `struct bpf_sock`, and of `enum tcp_state`. */
const STATE_AT = 72;
const TCP_LISTEN = 10;

/** From `atPort`, r9 the counter, to `claimed`, or with another counter to `leave`. */
export function emitKernelFlow(a: Assembler): void {
  a.label("atPort");
  a.load("u32", R1, R10, FLOW + PROTOCOL_AT);
  a.jumpIf(R1, "!=", protocols.TCP, "claimed");
  a.load("u32", R1, R10, TCP_FLAGS);
  a.and(R1, SYN_ACK);
  a.jumpIf(R1, "==", SYN, "claimed");
  emitTuple(a);
  a.jumpIf(R0, "==", 0, "claimed");
  a.load("u32", R7, R0, STATE_AT);
  a.mov(R1, R0);
  a.call("sk_release");
  a.jumpIf(R7, "==", TCP_LISTEN, "claimed");
  a.mov(R9, steeringCounter("kernelFlows"));
  a.jump("leave");
}

/** r0 = the kernel's socket for the flow key, as the remote end sends to it; or 0. */
function emitTuple(a: Assembler): void {
  const [isV6, isDone] = [a.freshLabel("tuple6"), a.freshLabel("tuple")];
  a.load("u64", R1, R10, FLOW);
  a.jumpIf(R1, "!=", 0, isV6);
  a.load("u32", R1, R10, FLOW + 8);
  a.alu32("mov", R2, MAPPED_WORD);
  a.jumpIf(R1, "!=", R2, isV6);
  emitTupleOf(a, IPV4_AT, 4);
  a.jump(isDone);
  a.label(isV6);
  emitTupleOf(a, 0, 16);
  a.label(isDone);
  a.mov(R1, R6);
  emitAddress(a, R2, TUPLE);
  a.mov(R4, CURRENT_NETNS);
  a.mov(R5, 0);
  a.call("skc_lookup_tcp");
}

/** Remote and local address, of so many bytes from `at`, then the ports; r3 = the tuple's length. */
function emitTupleOf(a: Assembler, at: number, addressBytes: number): void {
  for (let word = 0; word < addressBytes; word += 4) {
    a.load("u32", R1, R10, FLOW + REMOTE_AT + at + word);
    a.load("u32", R2, R10, FLOW + at + word);
    a.store("u32", R10, TUPLE + word, R1);
    a.store("u32", R10, TUPLE + addressBytes + word, R2);
  }
  a.load("u16", R1, R10, FLOW + REMOTE_PORT_AT);
  a.load("u16", R2, R10, FLOW + LOCAL_PORT_AT);
  a.store("u16", R10, TUPLE + 2 * addressBytes, R1);
  a.store("u16", R10, TUPLE + 2 * addressBytes + 2, R2);
  a.mov(R3, 2 * addressBytes + 4);
}
