/* Spin locks. */
#include "refused.h"

struct counted {
  struct bpf_spin_lock lock;
  __u32 small;
  __u64 n;
};
ARRAY(counts, 2, struct counted);
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 2);
  __type(key, __u64);
  __type(value, struct counted);
} table SEC(".maps");
ARRAY(longs, 4, __u64);

#define FOUND(value, n)                                                                            \
  __u32 value##_key = n;                                                                           \
  struct counted *value = bpf_map_lookup_elem(&counts, &value##_key);                              \
  if (!value) return XDP_PASS

PROGRAM(lock_ok) {
  FOUND(value, 0);
  bpf_spin_lock(&value->lock);
  value->n++;
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
PROGRAM(table_ok) {
  __u64 key = 0;
  struct counted *value = bpf_map_lookup_elem(&table, &key), first = {};
  if (!value) return bpf_map_update_elem(&table, &key, &first, 0) ? XDP_PASS : XDP_DROP;
  bpf_spin_lock(&value->lock);
  value->n++;
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
PROGRAM(held_bad) {
  FOUND(value, 0);
  bpf_spin_lock(&value->lock);
  return XDP_PASS;
}
PROGRAM(held_sometimes_bad) {
  FOUND(value, 0);
  bpf_spin_lock(&value->lock);
  if (value->n++ == 5) return XDP_DROP;
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
PROGRAM(twice_bad) {
  FOUND(value, 0);
  bpf_spin_lock(&value->lock);
  bpf_spin_lock(&value->lock);
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
PROGRAM(twice_ok) {
  FOUND(value, 0);
  bpf_spin_lock(&value->lock);
  bpf_spin_unlock(&value->lock);
  bpf_spin_lock(&value->lock);
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
PROGRAM(not_held_bad) {
  FOUND(value, 0);
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
PROGRAM(other_bad) {
  FOUND(value, 0);
  FOUND(other, 1);
  bpf_spin_lock(&value->lock);
  bpf_spin_unlock(&other->lock);
  return XDP_PASS;
}
PROGRAM(other_ok) {
  FOUND(value, 0);
  FOUND(other, 1);
  bpf_spin_lock(&value->lock);
  value->n += other->n;
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
PROGRAM(helper_bad) {
  FOUND(value, 0);
  bpf_spin_lock(&value->lock);
  value->n = bpf_ktime_get_ns();
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
PROGRAM(helper_ok) {
  FOUND(value, 0);
  __u64 now = bpf_ktime_get_ns();
  bpf_spin_lock(&value->lock);
  value->n = now;
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
PROGRAM(read_bad) {
  FOUND(value, 0);
  return *(volatile __u32 *)&value->lock;
}
PROGRAM(read_ok) {
  FOUND(value, 0);
  return *(volatile __u32 *)&value->small;
}
PROGRAM(write_bad) {
  FOUND(value, 0);
  *(volatile __u16 *)((char *)value + 2) = 1;
  return XDP_PASS;
}
PROGRAM(write_ok) {
  FOUND(value, 0);
  *(volatile __u16 *)((char *)value + 4) = 1;
  return XDP_PASS;
}
PROGRAM(helper_writes_bad) {
  FOUND(value, 0);
  return bpf_xdp_load_bytes(ctx, 0, value, sizeof *value) ? XDP_PASS : XDP_DROP;
}
PROGRAM(helper_writes_ok) {
  FOUND(value, 0);
  return bpf_xdp_load_bytes(ctx, 0, &value->small, 12) ? XDP_PASS : XDP_DROP;
}
PROGRAM(helper_reads_bad) {
  FOUND(value, 0);
  return bpf_csum_diff(0, 0, (__be32 *)value, 8, 0) & 1;
}
PROGRAM(wrong_place_bad) {
  FOUND(value, 0);
  bpf_spin_lock((void *)&value->n);
  bpf_spin_unlock((void *)&value->n);
  return XDP_PASS;
}
PROGRAM(variable_place_bad) {
  FOUND(value, 0);
  void *lock = (char *)value + (ctx->rx_queue_index & 4);
  HIDE(lock);
  bpf_spin_lock(lock);
  bpf_spin_unlock(lock);
  return XDP_PASS;
}
PROGRAM(no_lock_bad) {
  __u32 key = 0;
  __u64 *value = bpf_map_lookup_elem(&longs, &key);
  if (!value) return XDP_PASS;
  bpf_spin_lock((void *)value);
  bpf_spin_unlock((void *)value);
  return XDP_PASS;
}
PROGRAM(stack_bad) {
  struct bpf_spin_lock lock = {};
  bpf_spin_lock(&lock);
  bpf_spin_unlock(&lock);
  return XDP_PASS;
}
PROGRAM(null_bad) {
  __u64 key = 0;
  struct counted *value = bpf_map_lookup_elem(&table, &key);
  bpf_spin_lock(&value->lock);
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
static __noinline int adds(struct counted *value) {
  value->n++;
  return 0;
}
PROGRAM(function_ok) {
  FOUND(value, 0);
  bpf_spin_lock(&value->lock);
  adds(value);
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
static __noinline int unlocks(struct counted *value) {
  bpf_spin_unlock(&value->lock);
  return 0;
}
PROGRAM(unlocked_elsewhere_ok) {
  FOUND(value, 0);
  bpf_spin_lock(&value->lock);
  unlocks(value);
  return XDP_PASS;
}
static long locked(__u32 n __attribute__((unused)), struct counted **value) {
  bpf_spin_lock(&(*value)->lock);
  return 0;
}
PROGRAM(callback_bad) {
  FOUND(value, 0);
  bpf_loop(1, locked, &value, 0);
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
static long in_callback(__u32 n __attribute__((unused)), struct counted **value) {
  bpf_spin_lock(&(*value)->lock);
  (*value)->n++;
  bpf_spin_unlock(&(*value)->lock);
  return 0;
}
PROGRAM(callback_ok) {
  FOUND(value, 0);
  bpf_loop(1, in_callback, &value, 0);
  return XDP_PASS;
}
PROGRAM(endless_bad) {
  FOUND(value, 0);
  bpf_spin_lock(&value->lock);
  while (*(volatile __u64 *)&value->n) {}
  bpf_spin_unlock(&value->lock);
  return XDP_PASS;
}
