/* What the examples share: headers, byte order, checksums. Everything is inlined. */
#pragma once

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define INLINE static __always_inline

/* linux/icmp.h wants headers of the C library. */
struct icmphdr {
  __u8 type;
  __u8 code;
  __sum16 checksum;
  __be16 id;
  __be16 sequence;
};

#define ICMP_ECHOREPLY 0
#define ICMP_ECHO 8

struct vlan_header {
  __be16 tag;
  __be16 type;
};

/* Both directions of a flow have different keys. */
struct flow {
  __be32 saddr;
  __be32 daddr;
  __be16 sport;
  __be16 dport;
  __u32 protocol;
};

INLINE void *data_of(struct xdp_md *ctx) { return (void *)(long)ctx->data; }
INLINE void *end_of(struct xdp_md *ctx) { return (void *)(long)ctx->data_end; }

/* The IPv4 header of an untagged frame, whole and without options; NULL otherwise. */
INLINE struct iphdr *ipv4_of(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end_of(ctx)) return 0;
  if (eth->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5) return 0;
  return ip;
}

/* The kernel's verifier knows how much lies behind `ip`, but nothing of a pointer read again. */
INLINE struct ethhdr *eth_of(struct iphdr *ip) { return (struct ethhdr *)ip - 1; }

/* The 5-tuple of an unfragmented TCP or UDP packet. */
INLINE int flow_of(struct xdp_md *ctx, struct iphdr *ip, struct flow *flow) {
  struct udphdr *l4 = (void *)(ip + 1);
  if ((void *)(l4 + 1) > end_of(ctx)) return 0;
  if (ip->protocol != IPPROTO_TCP && ip->protocol != IPPROTO_UDP) return 0;
  if (ip->frag_off & bpf_htons(0x3fff)) return 0;
  flow->saddr = ip->saddr;
  flow->daddr = ip->daddr;
  flow->sport = l4->source;
  flow->dport = l4->dest;
  flow->protocol = ip->protocol;
  return 1;
}

INLINE __u16 fold(__u32 sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return sum;
}

/* RFC 1624: the checksum after a word of 16 bits has changed. */
INLINE __u16 adjust16(__u16 check, __u16 from, __u16 to) {
  return ~fold((__u16)~check + (__u16)~from + to);
}

INLINE __u16 adjust32(__u16 check, __u32 from, __u32 to) {
  return adjust16(adjust16(check, from & 0xffff, to & 0xffff), from >> 16, to >> 16);
}

INLINE void decrement_ttl(struct iphdr *ip) {
  __u32 sum = ip->check + bpf_htons(0x0100);
  ip->check = sum + (sum >= 0xffff);
  ip->ttl--;
}

/* The checksum of an IPv4 header without options. */
INLINE __u16 ipv4_checksum(struct iphdr *ip) {
  __u16 *words = (void *)ip;
  __u32 sum = 0;
#pragma unroll
  for (int i = 0; i < 10; i++) sum += words[i];
  return ~fold(sum);
}

INLINE void swap_macs(struct ethhdr *eth) {
  __u8 mac[ETH_ALEN];
  __builtin_memcpy(mac, eth->h_source, ETH_ALEN);
  __builtin_memcpy(eth->h_source, eth->h_dest, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, mac, ETH_ALEN);
}

/* The mixing of MurmurHash3: which of several servers. */
INLINE __u32 mix(__u32 h, __u32 word) {
  word *= 0xcc9e2d51;
  word = (word << 15) | (word >> 17);
  h ^= word * 0x1b873593;
  h = (h << 13) | (h >> 19);
  return h * 5 + 0xe6546b64;
}

INLINE __u32 hash_flow(const struct flow *flow, __u32 seed) {
  __u32 h = mix(seed, flow->saddr);
  h = mix(h, flow->daddr);
  h = mix(h, ((__u32)flow->sport << 16) | flow->dport);
  h = mix(h, flow->protocol);
  return h ^ (h >> 16);
}
