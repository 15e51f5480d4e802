/* Puts packets to services, of IPv4 and IPv6, into a tunnel of the same family (RFC 2003, RFC 2473). */
#include "packet.h"

struct service {
  __be32 addr[4]; /* IPv4: the first one, the others are 0 */
  __be16 port;
  __u8 protocol;
  __u8 version;
};

struct outer {
  __be32 local[4];
  __be32 remote[4];
  __u8 gateway[ETH_ALEN];
  __u16 unused;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, struct service);
  __type(value, struct outer);
} vips SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 256);
  __type(key, __u32);
  __type(value, __u64);
} tunneled SEC(".maps");

/* Both protocols begin with their ports. */
INLINE int destination_port(void *l4, void *end, __u8 protocol, __be16 *port) {
  struct udphdr *udp = l4;
  if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) return 0;
  if ((void *)(udp + 1) > end) return 0;
  *port = udp->dest;
  return 1;
}

INLINE void count(__u32 protocol) {
  __u64 *packets = bpf_map_lookup_elem(&tunneled, &protocol);
  if (packets) *packets += 1;
}

INLINE void write_ethernet(struct ethhdr *eth, const struct ethhdr *old, const struct outer *to,
                           __u16 type) {
  __builtin_memcpy(eth->h_source, old->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, to->gateway, ETH_ALEN);
  eth->h_proto = bpf_htons(type);
}

static __noinline int tunnel4(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip || (ip->frag_off & bpf_htons(0x1fff))) return XDP_PASS;
  struct service key = {.addr = {ip->daddr}, .protocol = ip->protocol, .version = 4};
  if (!destination_port(ip + 1, end_of(ctx), ip->protocol, &key.port)) return XDP_PASS;
  __u16 length = bpf_ntohs(ip->tot_len);
  __u8 tos = ip->tos;
  struct outer *to = bpf_map_lookup_elem(&vips, &key);
  if (!to) return XDP_PASS;
  if (bpf_xdp_adjust_head(ctx, -(int)sizeof *ip)) return XDP_DROP;
  struct ethhdr *eth = data_of(ctx);
  struct ethhdr *old = (void *)eth + sizeof *ip;
  ip = (void *)(eth + 1);
  if ((void *)(old + 1) > end_of(ctx) || (void *)(ip + 1) > end_of(ctx)) return XDP_DROP;
  write_ethernet(eth, old, to, ETH_P_IP);
  *ip = (struct iphdr){
      .version = 4,
      .ihl = 5,
      .tos = tos,
      .tot_len = bpf_htons(length + sizeof *ip),
      .ttl = 64,
      .protocol = IPPROTO_IPIP,
      .saddr = to->local[0],
      .daddr = to->remote[0],
  };
  ip->check = ipv4_checksum(ip);
  count(key.protocol);
  return XDP_TX;
}

static __noinline int tunnel6(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  struct ipv6hdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end_of(ctx)) return XDP_PASS;
  struct service key = {.protocol = ip->nexthdr, .version = 6};
  __builtin_memcpy(key.addr, &ip->daddr, sizeof key.addr);
  if (!destination_port(ip + 1, end_of(ctx), ip->nexthdr, &key.port)) return XDP_PASS;
  __u16 length = bpf_ntohs(ip->payload_len);
  struct outer *to = bpf_map_lookup_elem(&vips, &key);
  if (!to) return XDP_PASS;
  if (bpf_xdp_adjust_head(ctx, -(int)sizeof *ip)) return XDP_DROP;
  eth = data_of(ctx);
  struct ethhdr *old = (void *)eth + sizeof *ip;
  ip = (void *)(eth + 1);
  if ((void *)(old + 1) > end_of(ctx) || (void *)(ip + 1) > end_of(ctx)) return XDP_DROP;
  write_ethernet(eth, old, to, ETH_P_IPV6);
  __builtin_memset(ip, 0, sizeof *ip);
  ip->version = 6;
  ip->payload_len = bpf_htons(length + sizeof *ip);
  ip->nexthdr = IPPROTO_IPV6;
  ip->hop_limit = 64;
  __builtin_memcpy(&ip->saddr, to->local, sizeof to->local);
  __builtin_memcpy(&ip->daddr, to->remote, sizeof to->remote);
  count(key.protocol);
  return XDP_TX;
}

SEC("xdp")
int vip_tunnel(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_DROP;
  if (eth->h_proto == bpf_htons(ETH_P_IP)) return tunnel4(ctx);
  if (eth->h_proto == bpf_htons(ETH_P_IPV6)) return tunnel6(ctx);
  return XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
