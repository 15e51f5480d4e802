/* What the kernel takes from here and we do not, on purpose: docs/ebpf.md says why. */
#include "refused.h"

ARRAY(longs, 4, __u64);

/* The kernel knows that an array has the entry of a constant key. */
PROGRAM(sure_of_it) {
  __u32 key = 0;
  __u64 *value = bpf_map_lookup_elem(&longs, &key);
  return *value;
}

/* The kernel's own structure. */
PROGRAM(map_read) { return *(volatile __u8 *)((char *)&longs + 64); }

/* Of an address only distances mean anything here. */
WRITTEN(negated, "r1 = -r1; r0 = 2; exit;")

/* Less than 17 and not 0, from n - 1 < 16. */
PROGRAM(both_ends) {
  char bytes[16] = {};
  __u32 n = ctx->rx_queue_index;
  if (n == 0 || n > sizeof bytes) return XDP_PASS;
  return bpf_xdp_store_bytes(ctx, 0, bytes, n) ? XDP_PASS : XDP_DROP;
}

struct counted {
  struct bpf_spin_lock lock;
  __u32 small;
  __u64 n;
};
ARRAY(counts, 2, struct counted);

/* Loaded with the object's own types, which libbpf does, the kernel refuses this one. */
__noinline int others_may_call(int n) { return n + 1; }
PROGRAM(calls_global) {
  __u32 key = 0;
  struct counted *value = bpf_map_lookup_elem(&counts, &key);
  if (!value) return XDP_PASS;
  bpf_spin_lock(&value->lock);
  value->n = others_may_call(value->n);
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
__hidden __noinline int nobody_else_calls(int n) { return n + 1; }
PROGRAM(calls_hidden) {
  __u32 key = 0;
  struct counted *value = bpf_map_lookup_elem(&counts, &key);
  if (!value) return XDP_PASS;
  bpf_spin_lock(&value->lock);
  value->n = nobody_else_calls(value->n);
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
