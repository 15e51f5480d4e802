/* Access lists by source prefix, IPv4 and IPv6, behind up to two VLAN tags. */
#include "packet.h"

struct prefix4 {
  __u32 bits;
  __u8 addr[4];
};

struct prefix6 {
  __u32 bits;
  __u8 addr[16];
};

struct rule {
  __u32 verdict;
  __u32 unused;
  __u64 hits;
};

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 4096);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix4);
  __type(value, struct rule);
} sources4 SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 4096);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix6);
  __type(value, struct rule);
} sources6 SEC(".maps");

INLINE int apply(struct rule *rule) {
  if (!rule) return XDP_PASS;
  __sync_fetch_and_add(&rule->hits, 1);
  return rule->verdict == XDP_DROP ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int acl(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  void *end = end_of(ctx);
  void *at = eth + 1;
  if (at > end) return XDP_DROP;
  __be16 type = eth->h_proto;
#pragma unroll
  for (int i = 0; i < 2; i++) {
    if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD)) break;
    struct vlan_header *vlan = at;
    at = vlan + 1;
    if (at > end) return XDP_DROP;
    type = vlan->type;
  }
  if (type == bpf_htons(ETH_P_IP)) {
    struct iphdr *ip = at;
    if ((void *)(ip + 1) > end) return XDP_DROP;
    struct prefix4 key = {.bits = 32};
    __builtin_memcpy(key.addr, &ip->saddr, sizeof key.addr);
    return apply(bpf_map_lookup_elem(&sources4, &key));
  }
  if (type == bpf_htons(ETH_P_IPV6)) {
    struct ipv6hdr *ip = at;
    if ((void *)(ip + 1) > end) return XDP_DROP;
    struct prefix6 key = {.bits = 128};
    __builtin_memcpy(key.addr, &ip->saddr, sizeof key.addr);
    return apply(bpf_map_lookup_elem(&sources6, &key));
  }
  return XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
