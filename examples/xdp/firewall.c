/*
 * A stateful firewall: hosts inside (10.0.0.0/8, or what `inside` says) may open flows, and only answers
 * to those come back in. Configured by constants that whoever loads it may change.
 */
#include "packet.h"

volatile const __u32 inside = 0x0a000000;
volatile const __u32 inside_mask = 0xff000000;
volatile const __u32 drops_others = 1;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __type(key, struct flow);
  __type(value, __u64);
} flows SEC(".maps");

__u64 opened;
__u64 refused;

SEC("xdp")
int firewall(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  struct flow flow = {};
  if (!ip || !flow_of(ctx, ip, &flow)) return drops_others ? XDP_DROP : XDP_PASS;
  __u64 *packets;
  if ((bpf_ntohl(flow.saddr) & inside_mask) == inside) {
    packets = bpf_map_lookup_elem(&flows, &flow);
    if (packets) {
      __sync_fetch_and_add(packets, 1);
      return XDP_TX;
    }
    __u64 one = 1;
    if (bpf_map_update_elem(&flows, &flow, &one, BPF_NOEXIST)) return XDP_ABORTED;
    __sync_fetch_and_add(&opened, 1);
    return XDP_TX;
  }
  struct flow other = {
      .saddr = flow.daddr,
      .daddr = flow.saddr,
      .sport = flow.dport,
      .dport = flow.sport,
      .protocol = flow.protocol,
  };
  packets = bpf_map_lookup_elem(&flows, &other);
  if (!packets) {
    __sync_fetch_and_add(&refused, 1);
    return XDP_DROP;
  }
  __sync_fetch_and_add(packets, 1);
  return XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
