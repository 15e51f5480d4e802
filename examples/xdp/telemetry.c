/*
 * Measures and passes everything: lengths by powers of two, protocols, the checksum of what was seen, by
 * functions of its own, callbacks and a map of maps.
 */
#include "packet.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 32);
  __type(key, __u32);
  __type(value, __u64);
} lengths SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u16);
  __type(value, __u64);
} types SEC(".maps");

__u32 sum_of_headers;
__u64 first_bytes[14];
static const char name[] = "telemetry";

static __noinline __u32 log2_of(__u32 value) {
  __u32 bits = 0;
  for (int i = 0; i < 16; i++) {
    if (!(value >> 1)) break;
    value >>= 1;
    bits++;
  }
  return bits;
}

static __noinline void count_type(__u16 type) {
  __u64 *count = bpf_map_lookup_elem(&types, &type);
  if (count) {
    *count += 1;
    return;
  }
  __u64 one = 1;
  bpf_map_update_elem(&types, &type, &one, BPF_NOEXIST);
}

SEC("xdp")
int telemetry(struct xdp_md *ctx) {
  __u8 *data = data_of(ctx);
  struct ethhdr *eth = (void *)data;
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_ABORTED;
  __u32 bucket = log2_of(ctx->data_end - ctx->data);
  __u64 *count = bpf_map_lookup_elem(&lengths, &bucket);
  if (count) *count += 1;
  count_type(bpf_ntohs(eth->h_proto));
  for (int i = 0; i < 14; i++) first_bytes[i] += data[i];
  __u32 header[3];
  __builtin_memcpy(header, eth, sizeof header);
  __s64 sum = bpf_csum_diff(0, 0, header, sizeof header, sum_of_headers);
  sum_of_headers = sum;
  sum_of_headers ^= name[sum & 7];
  return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
