/**
 * The IP and ICMP part of the steering program. Every part starts at its label with r7 at the offset of a header and
 * leaves the addresses in the flow key, r9 the upper protocol and r7 at its header's offset.
 */
import type { Assembler } from "../ebpf/asm.js";
import { R1, R2, R3, R5, R7, R9, R10 } from "../ebpf/registers.js";
import * as protocols from "../wire/ip-protocol.js";
import { MAX_EXTENSIONS } from "../wire/ipv6-extensions.js";
import { REMOTE_AT } from "./steering-layout.js";
import {
  emitForget,
  emitHeader,
  FLOW,
  IDENTIFICATION,
  KIND,
  Kind,
  networkOrder,
  PASS_LABEL,
} from "./steering-stack.js";

const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const ICMP_BYTES = 8;
/** Shortest extension header. */
const EXTENSION_BYTES = 8;
/** The twelve bytes before an IPv4 address in its IPv6 form: 8 zeroes, then this as it is loaded. */
const MAPPED_WORD = 0xffff_0000;

/** Fragment offset and "more fragments" of IPv4's flags word and IPv6's fragment header. */
const OFFSET_4 = 0x1fff;
const MORE_4 = 0x2000;
const OFFSET_6 = 0xfff8;
const MORE_6 = 0x0001;

export function emitIpv4(a: Assembler): void {
  a.label("ipv4");
  emitIpv4Length(a); // r3: the header's length
  a.load("u32", R1, R5, 12);
  a.load("u32", R2, R5, 16);
  emitMapped(a);
  a.store("u32", R10, FLOW + REMOTE_AT + 12, R1);
  a.store("u32", R10, FLOW + 12, R2);
  a.load("u8", R9, R5, 9);
  a.load("u16", R1, R5, 4);
  a.store("u32", R10, IDENTIFICATION, R1);
  a.load("u16", R1, R5, 6);
  a.mov(R2, R1);
  a.and(R2, networkOrder(OFFSET_4));
  a.jumpIf(R2, "!=", 0, "laterFragment");
  a.and(R1, networkOrder(MORE_4));
  a.jumpIf(R1, "==", 0, "ipv4.whole");
  a.store("u32", R10, KIND, Kind.FIRST_FRAGMENT);
  // Errors are short: one in fragments is not followed.
  a.add(R7, R3);
  a.jump("transport");
  a.label("ipv4.whole");
  a.add(R7, R3);
  a.jumpIf(R9, "==", protocols.ICMPV4, "icmpv4");
  a.jump("transport");
}

/** Checks version and length; r3 becomes the length. */
function emitIpv4Length(a: Assembler): void {
  emitHeader(a, IPV4_BYTES);
  a.load("u8", R3, R5, 0);
  a.mov(R1, R3);
  a.rsh(R1, 4);
  a.jumpIf(R1, "!=", 4, PASS_LABEL.malformed);
  a.and(R3, 15);
  a.lsh(R3, 2);
  a.jumpIf(R3, "<", IPV4_BYTES, PASS_LABEL.malformed);
}

/** The first twelve bytes of both addresses. Keeps r1 and r2. */
function emitMapped(a: Assembler): void {
  for (const at of [FLOW, FLOW + REMOTE_AT]) {
    a.store("u64", R10, at, 0);
    a.store("u32", R10, at + 8, MAPPED_WORD);
  }
}

export function emitIpv6(a: Assembler): void {
  a.label("ipv6");
  emitIpv6Version(a);
  emitCopy16(a, 24, FLOW);
  emitCopy16(a, 8, FLOW + REMOTE_AT);
  // An IPv4 address in an IPv6 header (RFC 4291 §2.5.5.2) would be taken for IPv4's.
  a.load("u64", R1, R10, FLOW);
  a.jumpIf(R1, "!=", 0, "ipv6.address");
  a.load("u32", R1, R10, FLOW + 8);
  a.alu32("mov", R2, MAPPED_WORD);
  a.jumpIf(R1, "==", R2, PASS_LABEL.malformed);
  a.label("ipv6.address");
  a.load("u8", R9, R5, 6);
  a.add(R7, IPV6_BYTES);
  emitExtensions(a, "ipv6", (next) => emitFragment(a, next));
  a.jumpIf(R9, "!=", protocols.ICMPV6, "transport");
  // As for IPv4: an error in fragments is not followed.
  a.load("u32", R1, R10, KIND);
  a.jumpIf(R1, "==", Kind.WHOLE, "icmpv6");
  a.jump(PASS_LABEL.otherProtocols);
}

function emitIpv6Version(a: Assembler): void {
  emitHeader(a, IPV6_BYTES);
  a.load("u8", R1, R5, 0);
  a.rsh(R1, 4);
  a.jumpIf(R1, "!=", 6, PASS_LABEL.malformed);
}

/** Copies an address from the header at r5 to the stack. */
function emitCopy16(a: Assembler, from: number, to: number): void {
  a.load("u64", R1, R5, from);
  a.store("u64", R10, to, R1);
  a.load("u64", R1, R5, from + 8);
  a.store("u64", R10, to + 8, R1);
}

/**
 * Follows up to eight extension headers (RFC 8504 §5.3), unrolled; ends behind them, or at one that it
 * does not follow, which is then no transport protocol. `onFragment` makes the code for a fragment
 * header, which ends by a jump to its argument.
 */
function emitExtensions(a: Assembler, stem: string, onFragment: (next: string) => void): void {
  const done = `${stem}.upper`;
  for (let n = 0; n < MAX_EXTENSIONS; n++) {
    const next = `${stem}.extension.${n + 1}`;
    const [options, routing, authentication] = ["options", "routing", "authentication"].map(
      (what) => a.freshLabel(`${stem}.${what}`),
    ) as [string, string, string];
    a.label(`${stem}.extension.${n}`);
    // Hop-by-hop options come first or not at all (RFC 8200 §4.1).
    if (n === 0) a.jumpIf(R9, "==", protocols.HOP_BY_HOP, options);
    a.jumpIf(R9, "==", protocols.DESTINATION_OPTIONS, options);
    a.jumpIf(R9, "==", protocols.ROUTING, routing);
    a.jumpIf(R9, "==", protocols.AH, authentication);
    a.jumpIf(R9, "!=", protocols.FRAGMENT, done);
    emitHeader(a, EXTENSION_BYTES);
    onFragment(next);
    a.label(routing);
    emitHeader(a, EXTENSION_BYTES);
    a.load("u8", R1, R5, 3);
    a.jumpIf(R1, "!=", 0, PASS_LABEL.otherProtocols); // it is to go further
    a.label(options);
    emitStep(a, 1, 3);
    a.jump(next);
    a.label(authentication);
    emitStep(a, 2, 2);
    a.jump(next);
  }
  a.label(`${stem}.extension.${MAX_EXTENSIONS}`);
  a.label(done);
}

/** To the next header: (length field + more) << shift bytes further. */
function emitStep(a: Assembler, more: number, shift: number): void {
  emitHeader(a, EXTENSION_BYTES);
  a.load("u8", R9, R5, 0);
  a.load("u8", R1, R5, 1);
  a.add(R1, more);
  a.lsh(R1, shift);
  a.add(R7, R1);
  emitForget(a);
}

/** The fragment header at r5 of a packet that arrived. */
function emitFragment(a: Assembler, next: string): void {
  a.load("u32", R3, R5, 4);
  a.load("u16", R2, R5, 2);
  a.load("u8", R9, R5, 0);
  a.add(R7, EXTENSION_BYTES);
  emitForget(a);
  a.and(R2, networkOrder(OFFSET_6 | MORE_6));
  a.jumpIf(R2, "==", 0, next); // atomic (RFC 6946)
  a.store("u32", R10, IDENTIFICATION, R3);
  a.and(R2, networkOrder(OFFSET_6));
  const first = a.freshLabel("ipv6.first");
  a.jumpIf(R2, "==", 0, first);
  // What a later fragment's header names is nobody's business (RFC 8200 §4.5).
  a.mov(R9, protocols.FRAGMENT);
  a.jump("laterFragment");
  a.label(first);
  a.store("u32", R10, KIND, Kind.FIRST_FRAGMENT);
  a.jump(next);
}

/** The fragment header at r5 of a packet that an error quotes. */
function emitQuotedFragment(a: Assembler, next: string): void {
  a.load("u8", R9, R5, 0);
  a.load("u16", R2, R5, 2);
  a.add(R7, EXTENSION_BYTES);
  emitForget(a);
  a.and(R2, networkOrder(OFFSET_6));
  a.jumpIf(R2, "==", 0, next);
  a.jump(PASS_LABEL.unknownFragments);
}

/** ICMP types that quote a packet (RFC 792); redirects are routing, and so the kernel's. */
const ERRORS_4: readonly number[] = [3, 11, 12];
/** ICMPv6 (RFC 4443 §2.1): unreachable, too big, time exceeded, parameter problem. */
const LAST_ERROR_6 = 4;

/** From `icmpv4`, the addresses in the flow key, to `quoted`. */
export function emitQuoted4(a: Assembler): void {
  a.label("icmpv4");
  emitHeader(a, ICMP_BYTES + IPV4_BYTES);
  a.load("u8", R1, R5, 0);
  for (const type of ERRORS_4) a.jumpIf(R1, "==", type, "icmpv4.error");
  a.jump(PASS_LABEL.otherProtocols);
  a.label("icmpv4.error");
  a.add(R7, ICMP_BYTES);
  emitIpv4Length(a);
  a.load("u16", R1, R5, 6);
  a.and(R1, networkOrder(OFFSET_4));
  a.jumpIf(R1, "!=", 0, PASS_LABEL.unknownFragments);
  a.load("u32", R1, R5, 12);
  a.load("u32", R2, R10, FLOW + 12);
  a.jumpIf(R1, "!=", R2, PASS_LABEL.unclaimed); // not about a packet of the address it was sent to
  a.load("u32", R1, R5, 16);
  a.store("u32", R10, FLOW + REMOTE_AT + 12, R1);
  a.load("u8", R9, R5, 9);
  a.add(R7, R3);
  a.jump("quoted");
}

export function emitQuoted6(a: Assembler): void {
  a.label("icmpv6");
  emitHeader(a, ICMP_BYTES + IPV6_BYTES);
  a.load("u8", R1, R5, 0);
  a.jumpIf(R1, "==", 0, PASS_LABEL.otherProtocols);
  a.jumpIf(R1, ">", LAST_ERROR_6, PASS_LABEL.otherProtocols);
  a.add(R7, ICMP_BYTES);
  emitIpv6Version(a);
  for (const at of [0, 8]) {
    a.load("u64", R1, R5, 8 + at);
    a.load("u64", R2, R10, FLOW + at);
    a.jumpIf(R1, "!=", R2, PASS_LABEL.unclaimed);
  }
  emitCopy16(a, 24, FLOW + REMOTE_AT);
  a.load("u8", R9, R5, 6);
  a.add(R7, IPV6_BYTES);
  emitExtensions(a, "quoted6", (next) => emitQuotedFragment(a, next));
  a.jump("quoted");
}
