/* Routes IPv4 by the longest prefix, and sends it to a device. */
#include "packet.h"

struct prefix {
  __u32 bits;
  __be32 addr;
};

struct hop {
  __u32 device;
  __u8 mac[6];
  __u8 own_mac[6];
};

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(max_entries, 1024);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, struct prefix);
  __type(value, struct hop);
} routes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __u32);
} devices SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __u64);
} forwarded SEC(".maps");

SEC("xdp")
int router(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip) return XDP_PASS;
  if (ip->ttl <= 1) return XDP_PASS;
  struct prefix key = {.bits = 32, .addr = ip->daddr};
  struct hop *hop = bpf_map_lookup_elem(&routes, &key);
  if (!hop) return XDP_DROP;
  __u32 device = hop->device;
  __u64 *count = bpf_map_lookup_elem(&forwarded, &device);
  if (count) *count += 1;
  decrement_ttl(ip);
  struct ethhdr *eth = eth_of(ip);
  __builtin_memcpy(eth->h_dest, hop->mac, ETH_ALEN);
  __builtin_memcpy(eth->h_source, hop->own_mac, ETH_ALEN);
  return bpf_redirect_map(&devices, device, XDP_TX);
}

char _license[] SEC("license") = "GPL";
