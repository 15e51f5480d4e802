/* Maps and their values. */
#include "refused.h"

struct four {
  __u32 at[4];
};
ARRAY(fours, 2, struct four);
ARRAY(longs, 4, __u64);
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8);
  __type(key, __u64);
  __type(value, struct four);
} table SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __uint(map_flags, BPF_F_RDONLY_PROG);
  __type(key, __u32);
  __type(value, __u64);
} settings SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 2);
  __uint(map_flags, BPF_F_WRONLY_PROG);
  __type(key, __u32);
  __type(value, __u64);
} results SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 2);
  __uint(key_size, 4);
  __uint(value_size, 4);
} ports SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 2);
  __uint(key_size, 4);
  __uint(value_size, 4);
} stages SEC(".maps");
const volatile __u32 limit = 3;
__u32 counters[4];

/* With a key that is not known: of arrays, kernels of today know which constants are one. */
INLINE struct four *found(__u32 key) {
  key += bpf_get_prandom_u32();
  return bpf_map_lookup_elem(&fours, &key);
}

PROGRAM(null_bad) {
  struct four *four = found(0);
  return four->at[0];
}
PROGRAM(null_ok) {
  struct four *four = found(0);
  return four ? four->at[0] : XDP_PASS;
}

PROGRAM(null_moved_bad) {
  struct four *four = found(0);
  __u32 *at = &four->at[1];
  HIDE(at);
  return at ? *at : XDP_PASS;
}
PROGRAM(null_moved_ok) {
  struct four *four = found(0);
  if (!four) return XDP_PASS;
  __u32 *at = &four->at[1];
  HIDE(at);
  return *at;
}

/* Only one of two was compared. */
PROGRAM(other_null_bad) {
  struct four *one = found(0), *other = found(1);
  return one ? other->at[0] : XDP_PASS;
}
PROGRAM(other_null_ok) {
  struct four *one = found(0), *other = found(1);
  return one && other ? other->at[0] : XDP_PASS;
}

PROGRAM(index_bad) {
  struct four *four = found(0);
  __u32 n = ctx->rx_queue_index;
  return four && n <= 4 ? four->at[n] : XDP_PASS;
}
PROGRAM(index_ok) {
  struct four *four = found(0);
  __u32 n = ctx->rx_queue_index;
  return four && n < 4 ? four->at[n] : XDP_PASS;
}

PROGRAM(signed_bad) {
  struct four *four = found(0);
  if (!four) return XDP_PASS;
  long n = (int)ctx->rx_queue_index;
  HIDE(n);
  return n < 4 ? four->at[n] : XDP_PASS;
}
PROGRAM(signed_ok) {
  struct four *four = found(0);
  if (!four) return XDP_PASS;
  long n = (int)ctx->rx_queue_index;
  HIDE(n);
  return n >= 0 && n < 4 ? four->at[n] : XDP_PASS;
}

PROGRAM(mask_bad) {
  struct four *four = found(0);
  return four ? *(volatile __u32 *)((char *)four + (ctx->rx_queue_index & 15)) : XDP_PASS;
}
PROGRAM(mask_ok) {
  struct four *four = found(0);
  return four ? *(volatile __u8 *)((char *)four + (ctx->rx_queue_index & 15)) : XDP_PASS;
}

PROGRAM(in_front_bad) {
  struct four *four = found(0);
  return four ? *((volatile __u32 *)four - 1) : XDP_PASS;
}
PROGRAM(in_front_ok) {
  struct four *four = found(0);
  return four ? *((volatile __u32 *)four + 3) : XDP_PASS;
}

PROGRAM(variable_bad) {
  __u32 n = ctx->rx_queue_index;
  HIDE(n);
  return n < 5 ? ++*(volatile __u32 *)((char *)counters + 4 * (long)n) : XDP_PASS;
}
PROGRAM(variable_ok) {
  __u32 n = ctx->rx_queue_index;
  HIDE(n);
  return n < 4 ? ++*(volatile __u32 *)((char *)counters + 4 * (long)n) : XDP_PASS;
}

PROGRAM(constant_write_bad) {
  long at = (long)&limit;
  HIDE(at);
  *(__u32 *)at = 5;
  return XDP_PASS;
}
PROGRAM(constant_write_ok) {
  counters[limit] = 5;
  return XDP_PASS;
}

PROGRAM(read_only_bad) {
  __u32 key = 0;
  __u64 *value = bpf_map_lookup_elem(&settings, &key);
  if (value) *value = 1;
  return XDP_PASS;
}
PROGRAM(read_only_ok) {
  __u32 key = 0;
  __u64 *value = bpf_map_lookup_elem(&settings, &key);
  return value ? *value : XDP_PASS;
}

PROGRAM(write_only_bad) {
  __u32 key = 0;
  __u64 *value = bpf_map_lookup_elem(&results, &key);
  return value ? *value : XDP_PASS;
}
PROGRAM(write_only_ok) {
  __u32 key = 0;
  __u64 value = 3;
  bpf_map_update_elem(&results, &key, &value, 0);
  return XDP_PASS;
}

PROGRAM(read_only_update_bad) {
  __u32 key = 0;
  __u64 value = 3;
  bpf_map_update_elem(&settings, &key, &value, 0);
  return XDP_PASS;
}
PROGRAM(read_only_update_ok) {
  __u32 key = 0;
  __u64 value = 3;
  bpf_map_update_elem(&longs, &key, &value, 0);
  return XDP_PASS;
}

/* A key of 8 bytes, of which 4 are there. */
WRITTEN(key_bad, "r1 = table ll; r2 = r10; r2 += -4; *(u32 *)(r10 - 4) = r10; r3 = 0; *(u32 *)(r10 - 4) = r3; call 1; r0 = 2; exit;")
WRITTEN(key_ok, "r1 = table ll; r2 = r10; r2 += -8; r3 = 0; *(u64 *)(r10 - 8) = r3; call 1; r0 = 2; exit;")

/* Addresses of the kernel into memory that others read. */
PROGRAM(leaked_bad) {
  __u32 key = 0;
  __u64 *value = bpf_map_lookup_elem(&longs, &key);
  long context = (long)ctx;
  HIDE(context);
  if (value) *value = context | 1;
  return XDP_PASS;
}
PROGRAM(leaked_ok) {
  __u32 key = 0;
  __u64 *value = bpf_map_lookup_elem(&longs, &key);
  if (value) *value = end_of(ctx) - data_of(ctx);
  return XDP_PASS;
}

PROGRAM(map_write_bad) {
  *(volatile __u8 *)&longs = 1;
  return XDP_PASS;
}
PROGRAM(map_write_ok) {
  __u32 key = 0;
  return bpf_map_lookup_elem(&longs, &key) ? XDP_PASS : XDP_DROP;
}

PROGRAM(no_map_bad) {
  __u32 key = 0;
  void *map = ctx;
  HIDE(map);
  return bpf_map_lookup_elem(map, &key) ? XDP_PASS : XDP_DROP;
}
PROGRAM(no_map_ok) {
  __u32 key = 0;
  void *map = &longs;
  HIDE(map);
  return bpf_map_lookup_elem(map, &key) ? XDP_PASS : XDP_DROP;
}

PROGRAM(redirect_array_bad) { return bpf_redirect_map(&longs, 0, 0); }
PROGRAM(redirect_array_ok) { return bpf_redirect_map(&ports, 0, 0); }

PROGRAM(update_ports_bad) {
  __u32 key = 0, value = 1;
  bpf_map_update_elem(&ports, &key, &value, 0);
  return XDP_PASS;
}
PROGRAM(update_ports_ok) {
  __u32 key = 0;
  __u32 *value = bpf_map_lookup_elem(&ports, &key);
  return value ? *value & 1 : XDP_PASS;
}

PROGRAM(lookup_stages_bad) {
  __u32 key = 0;
  return bpf_map_lookup_elem(&stages, &key) ? XDP_PASS : XDP_DROP;
}
PROGRAM(lookup_stages_ok) {
  bpf_tail_call(ctx, &stages, 0);
  return XDP_PASS;
}

PROGRAM(write_ports_bad) {
  __u32 key = 0;
  __u32 *value = bpf_map_lookup_elem(&ports, &key);
  if (value) *value = 1;
  return XDP_PASS;
}
PROGRAM(write_ports_ok) {
  __u32 key = 0;
  __u32 *value = bpf_map_lookup_elem(&ports, &key);
  return value && *value ? XDP_PASS : XDP_DROP;
}

PROGRAM(delete_array_ok) {
  __u32 key = 0;
  return bpf_map_delete_elem(&longs, &key) ? XDP_PASS : XDP_DROP;
}

/* The value that a helper writes into is the value of a constant. */
PROGRAM(filled_bad) { return bpf_xdp_load_bytes(ctx, 0, (void *)(long)&limit, 4) ? XDP_PASS : XDP_DROP; }
PROGRAM(filled_ok) { return bpf_xdp_load_bytes(ctx, 0, counters, 4) ? XDP_PASS : XDP_DROP; }

PROGRAM(filled_far_bad) { return bpf_xdp_load_bytes(ctx, 0, counters, 17) ? XDP_PASS : XDP_DROP; }
PROGRAM(filled_far_ok) { return bpf_xdp_load_bytes(ctx, 0, counters, 16) ? XDP_PASS : XDP_DROP; }

PROGRAM(atomic_misaligned_bad) {
  struct four *four = found(0);
  if (four) __sync_fetch_and_add((__u64 *)((char *)four + 4), 1);
  return XDP_PASS;
}
PROGRAM(atomic_misaligned_ok) {
  struct four *four = found(0);
  if (four) __sync_fetch_and_add((__u64 *)((char *)four + 8), 1);
  return XDP_PASS;
}

PROGRAM(subtracted_bad) {
  struct four *four = found(0);
  if (!four) return XDP_PASS;
  long n = ctx->rx_queue_index & 3;
  HIDE(n);
  char *at = (char *)four - n;
  HIDE(at);
  return *(volatile __u8 *)(at + 3);
}
PROGRAM(subtracted_ok) {
  struct four *four = found(0);
  if (!four) return XDP_PASS;
  long n = ctx->rx_queue_index & 3;
  n = 3 - n;
  HIDE(n);
  return *(volatile __u8 *)((char *)four + n);
}
