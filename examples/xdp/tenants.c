/* A map of maps: tenants, by the last bits of their addresses, have counters of their own, by protocol. */
#include "packet.h"

struct counters {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, __u32);
  __type(value, __u64);
};

struct counters gold SEC(".maps");
struct counters silver SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
  __uint(max_entries, 4);
  __type(key, __u32);
  __array(values, struct counters);
} tenants SEC(".maps") = {.values = {[0] = &gold, [1] = &silver}};

SEC("xdp")
int tenants_count(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip) return XDP_PASS;
  __u32 tenant = (bpf_ntohl(ip->daddr) & 0xff) % 4;
  void *counters = bpf_map_lookup_elem(&tenants, &tenant);
  if (!counters) return XDP_DROP;
  __u32 protocol = ip->protocol;
  __u64 *packets = bpf_map_lookup_elem(counters, &protocol);
  if (packets) {
    __sync_fetch_and_add(packets, 1);
    return XDP_PASS;
  }
  __u64 one = 1;
  return bpf_map_update_elem(counters, &protocol, &one, BPF_NOEXIST) ? XDP_ABORTED : XDP_TX;
}

char _license[] SEC("license") = "Apache-2.0";
