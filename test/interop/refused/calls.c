/* Helpers, callbacks and rings. */
#include "refused.h"

ARRAY(longs, 4, __u64);
struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 65536);
} ring SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
  __uint(max_entries, 4);
  __uint(key_size, 4);
  __uint(value_size, 4);
} events SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 8);
  __type(key, __u32);
  __type(value, __u64);
} table SEC(".maps");
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 8);
  __type(key, __u32);
  __type(value, __u64);
} each SEC(".maps");

/* ---- arguments */

WRITTEN(no_context_bad, "r1 = 0; r2 = 4; call 44; r0 = 2; exit;")
WRITTEN(no_context_ok, "r2 = 4; call 44; r0 = 2; exit;")

WRITTEN(moved_context_bad, "r1 += 4; r2 = 4; call 44; r0 = 2; exit;")
WRITTEN(moved_context_ok, "r1 += 0; r2 = 4; call 44; r0 = 2; exit;")

WRITTEN(argument_bad, "call 44; r0 = 2; exit;")
WRITTEN(argument_ok, "r2 = r10; r2 = 4; call 44; r0 = 2; exit;")

WRITTEN(pointer_for_number_bad, "r6 = r1; r1 = longs ll; r2 = r10; r3 = 0; r4 = r6; call 51; r0 = 2; exit;")
WRITTEN(pointer_for_number_ok, "r1 = 1; r2 = 0; call 23; exit;")

/* For other types of programs. */
PROGRAM(other_type_bad) { return bpf_skb_load_bytes((void *)ctx, 0, (void *)ctx, 4) ? XDP_PASS : XDP_DROP; }
PROGRAM(other_type_ok) {
  __u32 first;
  return bpf_xdp_load_bytes(ctx, 0, &first, 4) ? XDP_PASS : XDP_DROP;
}

PROGRAM(length_bad) {
  char bytes[16] = {};
  __u32 n = ctx->rx_queue_index;
  return bpf_xdp_store_bytes(ctx, 0, bytes, n) ? XDP_PASS : XDP_DROP;
}
PROGRAM(length_ok) {
  char bytes[16] = {};
  __u32 n = ctx->rx_queue_index;
  HIDE(n);
  if (n == 0) return XDP_PASS;
  HIDE(n);
  if (n > sizeof bytes) return XDP_PASS;
  return bpf_xdp_store_bytes(ctx, 0, bytes, n) ? XDP_PASS : XDP_DROP;
}

PROGRAM(length_by_one_bad) {
  char bytes[16] = {};
  __u32 n = ctx->rx_queue_index;
  HIDE(n);
  if (n == 0 || n > 17) return XDP_PASS;
  return bpf_xdp_store_bytes(ctx, 0, bytes, n) ? XDP_PASS : XDP_DROP;
}
PROGRAM(length_by_one_ok) {
  char bytes[16] = {};
  __u32 n = ctx->rx_queue_index;
  HIDE(n);
  if (n == 0 || n > 16) return XDP_PASS;
  return bpf_xdp_store_bytes(ctx, 0, bytes, n) ? XDP_PASS : XDP_DROP;
}

PROGRAM(length_zero_bad) {
  char bytes[16] = {};
  __u32 n = ctx->rx_queue_index & 15;
  HIDE(n);
  return bpf_xdp_store_bytes(ctx, 0, bytes, n) ? XDP_PASS : XDP_DROP;
}
PROGRAM(length_zero_ok) {
  char bytes[16] = {};
  __u32 n = ctx->rx_queue_index & 15;
  HIDE(n);
  return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, bytes, n) ? XDP_PASS : XDP_DROP;
}

PROGRAM(length_negative_bad) {
  char bytes[16] = {};
  long n = (int)ctx->rx_queue_index;
  HIDE(n);
  if (n > 16) return XDP_PASS;
  return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, bytes, n) ? XDP_PASS : XDP_DROP;
}
PROGRAM(length_negative_ok) {
  char bytes[16] = {};
  long n = (int)ctx->rx_queue_index;
  HIDE(n);
  if (n < 0 || n > 16) return XDP_PASS;
  return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, bytes, n) ? XDP_PASS : XDP_DROP;
}

PROGRAM(event_map_bad) {
  long event = 1;
  return bpf_perf_event_output(ctx, &longs, BPF_F_CURRENT_CPU, &event, 8) ? XDP_PASS : XDP_DROP;
}
PROGRAM(event_map_ok) {
  long event = 1;
  return bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, 8) ? XDP_PASS : XDP_DROP;
}

PROGRAM(per_cpu_bad) {
  __u32 key = 0;
  return bpf_map_lookup_percpu_elem(&longs, &key, 0) ? XDP_PASS : XDP_DROP;
}
PROGRAM(per_cpu_ok) {
  __u32 key = 0;
  return bpf_map_lookup_percpu_elem(&each, &key, 0) ? XDP_PASS : XDP_DROP;
}

PROGRAM(text_bad) {
  char bytes[4] = "abc";
  char other[4] = "abd";
  return bpf_strncmp(bytes, 4, other) ? XDP_PASS : XDP_DROP;
}
PROGRAM(text_ok) {
  static const char wanted[] = "abd";
  char bytes[4] = "abc";
  return bpf_strncmp(bytes, 4, wanted) ? XDP_PASS : XDP_DROP;
}

/* ---- callbacks */

static long counts(__u32 n, __u64 *sum) {
  *sum += n;
  return 0;
}
static long counts_far(__u32 n, __u64 *sum) {
  sum[1] += n;
  return 0;
}
static long counts_wrongly(__u32 n, __u64 *sum) {
  *sum += n;
  return 7;
}
static long returns_pointer(__u32 n __attribute__((unused)), __u64 *sum) {
  HIDE(sum);
  return (long)sum;
}
static long returns_anything(__u32 n, __u64 *sum) { return *sum + n; }

PROGRAM(callback_bad) {
  __u64 sum = 0;
  bpf_loop(10, counts_far, &sum, 0);
  return sum & 1;
}
PROGRAM(callback_ok) {
  __u64 sum = 0;
  bpf_loop(10, counts, &sum, 0);
  return sum & 1;
}

PROGRAM(callback_result_bad) {
  __u64 sum = 0;
  bpf_loop(10, counts_wrongly, &sum, 0);
  return sum & 1;
}
PROGRAM(callback_result_ok) {
  __u64 sum = 0;
  return bpf_loop(10, counts, &sum, 0) == 10 ? XDP_PASS : XDP_DROP;
}

PROGRAM(callback_pointer_bad) {
  __u64 sum = 0;
  bpf_loop(10, returns_pointer, &sum, 0);
  return sum & 1;
}
PROGRAM(callback_unknown_bad) {
  __u64 sum = 0;
  bpf_loop(10, returns_anything, &sum, 0);
  return sum & 1;
}

PROGRAM(callback_flags_ok) {
  __u64 sum = 0;
  return bpf_loop(10, counts, &sum, 0) > 5 ? XDP_PASS : XDP_DROP;
}

PROGRAM(callback_none_bad) {
  __u64 sum = 0;
  void *callback = ctx;
  HIDE(callback);
  bpf_loop(10, callback, &sum, 0);
  return sum & 1;
}

static long adds(void *map __attribute__((unused)), __u32 *key, __u64 *value, __u64 *sum) {
  *sum += *key + *value;
  return 0;
}
static long writes_key(void *map __attribute__((unused)), __u32 *key, __u64 *value, __u64 *sum) {
  *key = 1;
  *sum += *value;
  return 0;
}
PROGRAM(key_written_bad) {
  __u64 sum = 0;
  bpf_for_each_map_elem(&table, writes_key, &sum, 0);
  return sum & 1;
}
PROGRAM(key_written_ok) {
  __u64 sum = 0;
  bpf_for_each_map_elem(&table, adds, &sum, 0);
  return sum & 1;
}

PROGRAM(each_ring_bad) {
  __u64 sum = 0;
  bpf_for_each_map_elem(&ring, adds, &sum, 0);
  return sum & 1;
}
PROGRAM(each_ring_ok) {
  __u64 sum = 0;
  bpf_for_each_map_elem(&longs, adds, &sum, 0);
  return sum & 1;
}

/* What the callback changed is not what it was before. */
static long grows(__u32 n __attribute__((unused)), __u64 *index) {
  *index += 1;
  return 0;
}
PROGRAM(changed_bad) {
  __u32 key = 0;
  __u64 index = 0;
  char *value = bpf_map_lookup_elem(&longs, &key);
  bpf_loop(10, grows, &index, 0);
  return value ? *(volatile __u8 *)(value + index) : XDP_PASS;
}
PROGRAM(changed_ok) {
  __u32 key = 0;
  __u64 index = 0;
  char *value = bpf_map_lookup_elem(&longs, &key);
  bpf_loop(10, grows, &index, 0);
  return value && index < 8 ? *(volatile __u8 *)(value + index) : XDP_PASS;
}

/* The packet moves while the callback has a part of it. */
static long moves(__u32 n __attribute__((unused)), struct xdp_md **ctx) {
  bpf_xdp_adjust_head(*ctx, 1);
  return 0;
}
PROGRAM(moved_inside_bad) {
  struct xdp_md *kept = ctx;
  __u8 *data = data_of(ctx);
  if (data + 14 > (__u8 *)end_of(ctx)) return XDP_PASS;
  bpf_loop(2, moves, &kept, 0);
  return data[0];
}
PROGRAM(moved_inside_ok) {
  struct xdp_md *kept = ctx;
  bpf_loop(2, moves, &kept, 0);
  __u8 *data = data_of(ctx);
  return data + 14 > (__u8 *)end_of(ctx) ? XDP_PASS : data[0];
}

/* ---- records of rings */

PROGRAM(kept_record_bad) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!record) return XDP_PASS;
  *record = 1;
  if (ctx->rx_queue_index) return XDP_DROP;
  bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}
PROGRAM(kept_record_ok) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!record) return XDP_PASS;
  *record = 1;
  if (ctx->rx_queue_index) bpf_ringbuf_discard(record, 0);
  else bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}

PROGRAM(twice_bad) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!record) return XDP_PASS;
  bpf_ringbuf_submit(record, 0);
  bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}
PROGRAM(twice_ok) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!record) return XDP_PASS;
  bpf_ringbuf_submit(record, 0);
  record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (record) bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}

PROGRAM(after_submit_bad) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!record) return XDP_PASS;
  bpf_ringbuf_submit(record, 0);
  *(volatile __u64 *)record = 1;
  return XDP_PASS;
}
PROGRAM(after_submit_ok) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!record) return XDP_PASS;
  *(volatile __u64 *)record = 1;
  bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}

PROGRAM(unchecked_record_bad) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}
PROGRAM(record_length_bad) {
  __u64 *record = bpf_ringbuf_reserve(&ring, ctx->rx_queue_index & 15, 0);
  if (record) bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}
PROGRAM(record_end_bad) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!record) return XDP_PASS;
  *(volatile __u8 *)(record + 1) = 1;
  bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}
PROGRAM(record_end_ok) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
  if (!record) return XDP_PASS;
  *(volatile __u8 *)(record + 1) = 1;
  bpf_ringbuf_submit(record, 0);
  return XDP_PASS;
}

PROGRAM(moved_record_bad) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 16, 0);
  if (!record) return XDP_PASS;
  bpf_ringbuf_submit(record + 1, 0);
  return XDP_PASS;
}
PROGRAM(no_record_bad) {
  __u32 key = 0;
  __u64 *value = bpf_map_lookup_elem(&longs, &key);
  if (value) bpf_ringbuf_submit(value, 0);
  return XDP_PASS;
}

PROGRAM(tail_call_held_bad) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!record) return XDP_PASS;
  __u64 sum = 0;
  bpf_loop(2, counts, &sum, 0);
  return XDP_PASS;
}

static long submits(__u32 n __attribute__((unused)), __u64 **record) {
  bpf_ringbuf_submit(*record, 0);
  return 0;
}
PROGRAM(submitted_inside_bad) {
  __u64 *record = bpf_ringbuf_reserve(&ring, 8, 0);
  if (!record) return XDP_PASS;
  bpf_loop(2, submits, &record, 0);
  return XDP_PASS;
}

static long reserves(__u32 n __attribute__((unused)), void *unused __attribute__((unused))) {
  return bpf_ringbuf_reserve(&ring, 8, 0) != 0;
}
PROGRAM(reserved_inside_bad) {
  bpf_loop(2, reserves, 0, 0);
  return XDP_PASS;
}
