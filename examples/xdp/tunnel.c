/* Puts packets to some addresses into IPv4 in IPv4 (RFC 2003), and takes those that come out of it. */
#include "packet.h"

struct endpoint {
  __be32 local;
  __be32 remote;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, __be32);
  __type(value, struct endpoint);
} tunnels SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 256);
  __type(key, __u32);
  __type(value, __u64);
} by_protocol SEC(".maps");

static __noinline int decapsulate(struct xdp_md *ctx) {
  struct ethhdr kept;
  struct ethhdr *eth = data_of(ctx);
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_DROP;
  __builtin_memcpy(&kept, eth, sizeof kept);
  if (bpf_xdp_adjust_head(ctx, sizeof(struct iphdr))) return XDP_DROP;
  eth = data_of(ctx);
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_DROP;
  __builtin_memcpy(eth, &kept, sizeof kept);
  return XDP_PASS;
}

static __noinline int encapsulate(struct xdp_md *ctx, struct endpoint *to) {
  if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr))) return XDP_DROP;
  struct ethhdr *eth = data_of(ctx);
  struct iphdr *ip = (void *)(eth + 1);
  struct ethhdr *old = (void *)eth + sizeof *ip;
  if ((void *)(ip + 1) > end_of(ctx) || (void *)(old + 1) > end_of(ctx)) return XDP_DROP;
  if (!to) return XDP_DROP;
  __builtin_memmove(eth, old, sizeof *eth);
  *ip = (struct iphdr){
      .version = 4,
      .ihl = 5,
      .tot_len = bpf_htons(ctx->data_end - ctx->data - sizeof *eth),
      .ttl = 64,
      .protocol = IPPROTO_IPIP,
      .saddr = to->local,
      .daddr = to->remote,
  };
  ip->check = ipv4_checksum(ip);
  return XDP_TX;
}

SEC("xdp")
int tunnel(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip) return XDP_PASS;
  __u32 protocol = ip->protocol;
  __u64 *count = bpf_map_lookup_elem(&by_protocol, &protocol);
  if (count) *count += 1;
  if (protocol == IPPROTO_IPIP) return decapsulate(ctx);
  __be32 addr = ip->daddr;
  struct endpoint *to = bpf_map_lookup_elem(&tunnels, &addr);
  return to ? encapsulate(ctx, to) : XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
