/*
 * A balancer of layer 4: flows to a service are spread over its servers by a ring of 256 places, the
 * destination is rewritten, and both checksums with it.
 */
#include "packet.h"

#define PLACES 256

struct service {
  __be32 addr;
  __be16 port;
  __u16 protocol;
};

struct server {
  __be32 addr;
  __u8 mac[6];
  __u16 unused;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 512);
  __type(key, struct service);
  __type(value, __u32);
} services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 512 * PLACES);
  __type(key, __u32);
  __type(value, __u32);
} ring SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, struct server);
} servers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 4096);
  __type(key, __u32);
  __type(value, __u64);
} packets SEC(".maps");

SEC("xdp")
int balancer(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  struct flow flow = {};
  if (!ip || !flow_of(ctx, ip, &flow)) return XDP_PASS;
  struct service service = {.addr = flow.daddr, .port = flow.dport, .protocol = flow.protocol};
  __u32 *number = bpf_map_lookup_elem(&services, &service);
  if (!number) return XDP_PASS;
  __u32 place = *number * PLACES + hash_flow(&flow, 0x9e3779b9) % PLACES;
  __u32 *which = bpf_map_lookup_elem(&ring, &place);
  if (!which) return XDP_DROP;
  struct server *server = bpf_map_lookup_elem(&servers, which);
  if (!server || !server->addr) return XDP_DROP;
  __u64 *count = bpf_map_lookup_elem(&packets, which);
  if (count) (*count)++;

  if (flow.protocol == IPPROTO_TCP) {
    struct tcphdr *tcp = (void *)(ip + 1);
    if ((void *)(tcp + 1) > end_of(ctx)) return XDP_DROP;
    tcp->check = adjust32(tcp->check, ip->daddr, server->addr);
  } else {
    struct udphdr *udp = (void *)(ip + 1);
    if (udp->check) udp->check = adjust32(udp->check, ip->daddr, server->addr);
  }
  ip->check = adjust32(ip->check, ip->daddr, server->addr);
  ip->daddr = server->addr;
  struct ethhdr *eth = eth_of(ip);
  __builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, server->mac, ETH_ALEN);
  return XDP_TX;
}

char _license[] SEC("license") = "Apache-2.0";
