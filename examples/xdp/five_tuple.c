/* Drops the flows that are in a table, counts what happens per CPU. */
#include "packet.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, struct flow);
  __type(value, __u32);
} blocked SEC(".maps");

struct counter {
  __u64 packets;
  __u64 bytes;
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, struct counter);
} counters SEC(".maps");

SEC("xdp")
int five_tuple(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  struct flow flow = {};
  if (!ip || !flow_of(ctx, ip, &flow)) return XDP_PASS;
  __u32 is_blocked = bpf_map_lookup_elem(&blocked, &flow) != 0;
  struct counter *counter = bpf_map_lookup_elem(&counters, &is_blocked);
  if (!counter) return XDP_ABORTED;
  counter->packets++;
  counter->bytes += ctx->data_end - ctx->data;
  return is_blocked ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
