/* Registers, the stack, and calls of functions. */
#include "refused.h"

ARRAY(longs, 4, __u64);

WRITTEN(register_bad, "r0 = r7; exit;")
WRITTEN(register_ok, "r7 = 2; r0 = r7; exit;")

WRITTEN(result_bad, "exit;")
WRITTEN(result_ok, "r0 = 2; exit;")

/* On one of two ways only. */
WRITTEN(sometimes_bad, "r2 = *(u32 *)(r1 + 12); if r2 == 0 goto +1; r0 = 2; exit;")
WRITTEN(sometimes_ok, "r2 = *(u32 *)(r1 + 12); r0 = 1; if r2 == 0 goto +1; r0 = 2; exit;")

WRITTEN(after_call_bad, "r6 = r1; call 5; r0 = *(u32 *)(r1 + 12); exit;")
WRITTEN(after_call_ok, "r6 = r1; call 5; r0 = *(u32 *)(r6 + 12); exit;")

WRITTEN(frame_bad, "r10 = 0; r0 = 2; exit;")
WRITTEN(frame_ok, "r9 = r10; r9 += -8; r0 = 2; *(u64 *)(r9 + 0) = r0; exit;")

WRITTEN(below_bad, "r0 = 2; *(u64 *)(r10 - 520) = r0; exit;")
WRITTEN(below_ok, "r0 = 2; *(u64 *)(r10 - 512) = r0; exit;")

WRITTEN(above_bad, "r0 = 2; *(u64 *)(r10 + 0) = r0; exit;")
WRITTEN(above_ok, "r0 = 2; *(u64 *)(r10 - 8) = r0; exit;")

WRITTEN(misaligned_bad, "r0 = 2; *(u64 *)(r10 - 12) = r0; exit;")
WRITTEN(misaligned_ok, "r0 = 2; *(u64 *)(r10 - 16) = r0; exit;")

WRITTEN(half_stored_bad, "*(u64 *)(r10 - 8) = r1; r0 = 0; *(u32 *)(r10 - 8) = r0; r1 = *(u64 *)(r10 - 8); r0 = *(u32 *)(r1 + 12); exit;")
WRITTEN(half_stored_ok, "*(u64 *)(r10 - 8) = r1; r0 = 0; *(u32 *)(r10 - 12) = r0; r1 = *(u64 *)(r10 - 8); r0 = *(u32 *)(r1 + 12); exit;")

WRITTEN(part_stored_bad, "*(u32 *)(r10 - 8) = r1; r0 = 2; exit;")
WRITTEN(part_stored_ok, "*(u64 *)(r10 - 8) = r1; r0 = 2; exit;")

WRITTEN(variable_stack_bad, "r2 = *(u32 *)(r1 + 12); r2 &= 63; r3 = r10; r3 += -60; r3 += r2; r0 = 2; *(u8 *)(r3 + 0) = r0; exit;")
WRITTEN(variable_stack_ok, "r2 = *(u32 *)(r1 + 12); r2 &= 63; r3 = r10; r3 += -64; r3 += r2; r0 = 2; *(u8 *)(r3 + 0) = r0; exit;")

WRITTEN(unbounded_stack_bad, "r2 = *(u32 *)(r1 + 12); r3 = r10; r3 += r2; r0 = 2; *(u8 *)(r3 + 0) = r0; exit;")
WRITTEN(unbounded_stack_ok, "r2 = *(u32 *)(r1 + 12); r2 &= 7; r2 += -8; r3 = r10; r3 += r2; r0 = 2; *(u8 *)(r3 + 0) = r0; exit;")

/* A pointer that the variable store may have hit. */
WRITTEN(overwritten_bad, "*(u64 *)(r10 - 8) = r1; r2 = *(u32 *)(r1 + 12); r2 &= 15; r3 = r10; r3 += -16; r3 += r2; r0 = 0; *(u8 *)(r3 + 0) = r0; r1 = *(u64 *)(r10 - 8); r0 = *(u32 *)(r1 + 12); exit;")
WRITTEN(overwritten_ok, "*(u64 *)(r10 - 8) = r1; r2 = *(u32 *)(r1 + 12); r2 &= 7; r3 = r10; r3 += -16; r3 += r2; r0 = 0; *(u8 *)(r3 + 0) = r0; r1 = *(u64 *)(r10 - 8); r0 = *(u32 *)(r1 + 12); exit;")

PROGRAM(number_bad) {
  long address = 0x1000;
  HIDE(address);
  return *(volatile __u8 *)address;
}
PROGRAM(number_ok) {
  long address = 0x1000;
  HIDE(address);
  return address & 1 ? XDP_PASS : XDP_DROP;
}

WRITTEN(divided_bad, "r0 = 2; r0 /= 0; exit;")
WRITTEN(divided_ok, "r0 = 2; r2 = *(u32 *)(r1 + 12); r0 /= r2; exit;")

WRITTEN(shifted_bad, "r0 = 2; r0 <<= 64; exit;")
WRITTEN(shifted_ok, "r0 = 2; r2 = *(u32 *)(r1 + 12); r0 <<= r2; exit;")

WRITTEN(subtracted_bad, "r2 = r10; r2 -= 8; r0 = 2; *(u64 *)(r2 + 0) = r0; exit;")
WRITTEN(subtracted_ok, "r2 = r10; r2 += -8; r0 = 2; *(u64 *)(r2 + 0) = r0; exit;")

WRITTEN(unreached_bad, "r0 = 2; exit; r0 = 1; exit;")
WRITTEN(unreached_ok, "r0 = 2; r2 = *(u32 *)(r1 + 12); if r2 == 0 goto +1; exit; r0 = 1; exit;")

/* Never taken, and looked at all the same only where nothing is known. */
WRITTEN(dead_ok, "r2 = 1; if r2 == 1 goto +1; r0 = *(u8 *)(r2 + 0); r0 = 2; exit;")
WRITTEN(dead_bad, "r2 = *(u32 *)(r1 + 12); if r2 == 1 goto +1; r0 = *(u8 *)(r2 + 0); r0 = 2; exit;")

WRITTEN(falls_off_bad, "r0 = 2; r2 = *(u32 *)(r1 + 12); if r2 == 0 goto +1; exit; r0 = 3;")
WRITTEN(falls_off_ok, "r0 = 2; r2 = *(u32 *)(r1 + 12); if r2 == 0 goto +1; exit; r0 = 3; exit;")

WRITTEN(endless_bad, "r0 = 2; goto -1; exit;")
WRITTEN(endless_ok, "r0 = 2; goto +0; exit;")

WRITTEN(forever_bad, "r0 = 0; r2 = *(u32 *)(r1 + 12); r0 += 0; if r2 != 7 goto -2; exit;")
WRITTEN(forever_ok, "r0 = 0; r2 = *(u32 *)(r1 + 12); r2 &= 7; r0 += 1; if r0 <= r2 goto -2; exit;")

PROGRAM(unbounded_bad) {
  __u32 sum = 0, n = ctx->rx_queue_index;
  for (__u32 i = 0; i != n; i++) {
    sum ^= i;
    HIDE(sum);
  }
  return sum & 1;
}
PROGRAM(unbounded_ok) {
  __u32 sum = 0, n = ctx->rx_queue_index;
  for (__u32 i = 0; i < 50; i++) {
    if (i == n) break;
    sum ^= i;
    HIDE(sum);
  }
  return sum & 1;
}

static __noinline int kept(struct xdp_md *ctx, volatile long *values) {
  volatile long more[30];
  more[ctx->rx_queue_index & 15] = values[0];
  return more[3];
}
static __noinline int small(struct xdp_md *ctx, volatile long *values) {
  volatile long more[8];
  more[ctx->rx_queue_index & 7] = values[0];
  return more[3];
}
PROGRAM(deep_bad) {
  volatile long values[40];
  values[ctx->rx_queue_index & 31] = 1;
  return kept(ctx, values) & 1;
}
PROGRAM(deep_ok) {
  volatile long values[40];
  values[ctx->rx_queue_index & 31] = 1;
  return small(ctx, values) & 1;
}

static __noinline long gone(struct xdp_md *ctx) {
  volatile long here = ctx->rx_queue_index;
  long place = (long)&here;
  HIDE(place);
  return place;
}
static __noinline long there(struct xdp_md *ctx, volatile long *here) {
  *here = ctx->rx_queue_index;
  return *here;
}
PROGRAM(returned_stack_bad) { return *(volatile long *)gone(ctx) & 1; }
PROGRAM(returned_stack_ok) {
  volatile long here;
  return there(ctx, &here) & 1;
}

/* A function that does not look whether there is a value. */
static __noinline int trusting(__u64 *value) { return *value & 1; }
static __noinline int careful(__u64 *value) { return value ? *value & 1 : XDP_PASS; }
PROGRAM(trusting_bad) {
  __u32 key = bpf_get_prandom_u32();
  return trusting(bpf_map_lookup_elem(&longs, &key));
}
PROGRAM(trusting_ok) {
  __u32 key = 0;
  return careful(bpf_map_lookup_elem(&longs, &key));
}

static __noinline int circle(struct xdp_md *ctx, int depth);
static __noinline int back(struct xdp_md *ctx, int depth) {
  HIDE(depth);
  return depth > 3 ? 1 : circle(ctx, depth + 1) + 1;
}
static __noinline int circle(struct xdp_md *ctx, int depth) {
  HIDE(depth);
  return depth > 3 ? (int)ctx->rx_queue_index : back(ctx, depth + 1) + 2;
}
static __noinline int ends(struct xdp_md *ctx, int depth) {
  HIDE(depth);
  return depth > 3 ? (int)ctx->rx_queue_index : depth + 2;
}
PROGRAM(circle_bad) { return circle(ctx, 0) & 1; }
PROGRAM(circle_ok) { return ends(ctx, 0) & 1; }
