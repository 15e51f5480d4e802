/* A wire between two interfaces: what comes in at one goes out of the other, counted by length. */
#include "packet.h"

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, __u32);
} other_end SEC(".maps");

/* By the number of bits of the length. */
struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 32);
  __type(key, __u32);
  __type(value, __u64);
} lengths SEC(".maps");

SEC("xdp")
int wire(struct xdp_md *ctx) {
  __u32 length = ctx->data_end - ctx->data;
  __u32 bits = 0;
#pragma unroll
  for (int step = 16; step > 0; step /= 2) {
    if (length >> step) {
      bits += step;
      length >>= step;
    }
  }
  __u64 *count = bpf_map_lookup_elem(&lengths, &bits);
  if (count) *count += 1;
  return bpf_redirect_map(&other_end, 0, XDP_DROP);
}

char _license[] SEC("license") = "Apache-2.0";
