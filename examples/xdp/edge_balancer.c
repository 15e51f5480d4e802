/*
 * A balancer for the edge of a network, of the size of those in production: frames with up to two VLAN
 * tags, IPv4 and IPv6; flows to a service go to the server that they went to before, else to one of a ring,
 * inside of an outer IPv4 or IPv6 header; QUIC packets go to the server that their connection id names;
 * ICMP errors go where the flow that they are about goes; pings are answered here. Everything is inlined,
 * once for each way through, so that this is also what verifiers and compilers are measured with.
 */
#include "packet.h"

#include <linux/icmpv6.h>

#define RING_PLACES 4096
#define MAX_TAGS 2
#define QUIC_PORT 443
#define TTL 64
/* Longer ones do not fit into the outer header and 1,500 bytes. */
#define LONGEST (1500 - sizeof(struct ipv6hdr))

#define ANY_PORT 1
#define BY_SOURCE 2
#define IS_QUIC 4
#define IS_LOCAL 8

#define ICMP_DEST_UNREACH 3
#define ICMP_FRAG_NEEDED 4

struct service {
  __be32 addr[4];
  __be16 port;
  __u8 protocol;
  __u8 is_six;
};

struct service_value {
  __u32 number;
  __u32 flags;
};

struct connection {
  __be32 source[4];
  __be32 destination[4];
  __be16 ports[2];
  __u8 protocol;
  __u8 is_six;
  __u16 unused;
};

struct chosen {
  __u32 server;
  __u32 unused;
  __u64 last;
};

struct server {
  __be32 addr[4];
  __u8 mac[6];
  __u16 is_six;
};

struct count {
  __u64 packets;
  __u64 bytes;
};

struct outer {
  __be32 four;
  __be32 six[4];
  __u8 mac[6];
  __u16 unused;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 512);
  __type(key, struct service);
  __type(value, struct service_value);
} edge_services SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, struct connection);
  __type(value, struct chosen);
} connections SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 16 * RING_PLACES);
  __type(key, __u32);
  __type(value, __u32);
} edge_ring SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, struct server);
} edge_servers SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, __u32);
} connection_ids SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1024);
  __type(key, __u32);
  __type(value, struct count);
} counts SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 16);
  __type(key, __u32);
  __type(value, __u64);
} events SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct outer);
} outer_addresses SEC(".maps");

enum event { REMEMBERED, FROM_RING, BY_CONNECTION_ID, NO_SERVER, PINGS, ERRORS, TOO_SHORT, TOO_LONG, FRAGMENTS };

INLINE void tell(__u32 event) {
  __u64 *count = bpf_map_lookup_elem(&events, &event);
  if (count) *count += 1;
}

/* Jenkins's mixing, as the kernel's jhash. */
#define ROL(x, n) (((x) << (n)) | ((x) >> (32 - (n))))

INLINE __u32 hash_words(const __be32 *words, int count, __u32 seed) {
  __u32 a = 0xdeadbeef + (count << 2) + seed, b = a, c = a;
#pragma unroll
  for (int i = 0; i + 3 <= count; i += 3) {
    a += words[i];
    b += words[i + 1];
    c += words[i + 2];
    a -= c;
    a ^= ROL(c, 4);
    c += b;
    b -= a;
    b ^= ROL(a, 6);
    a += c;
    c -= b;
    c ^= ROL(b, 8);
    b += a;
    a -= c;
    a ^= ROL(c, 16);
    c += b;
    b -= a;
    b ^= ROL(a, 19);
    a += c;
    c -= b;
    c ^= ROL(b, 4);
    b += a;
  }
  if (count % 3 == 2) b += words[count - 1];
  a += words[count - count % 3];
  c ^= b;
  c -= ROL(b, 14);
  a ^= c;
  a -= ROL(c, 11);
  b ^= a;
  b -= ROL(a, 25);
  c ^= b;
  c -= ROL(b, 16);
  a ^= c;
  a -= ROL(c, 4);
  b ^= a;
  b -= ROL(a, 14);
  c ^= b;
  c -= ROL(b, 24);
  return c;
}

INLINE __u32 hash_connection(const struct connection *flow, int by_source) {
  __be32 ports = by_source ? 0 : ((__u32)flow->ports[0] << 16) | flow->ports[1];
  if (flow->is_six) {
    __be32 words[6] = {flow->source[0], flow->source[1], flow->source[2],
                       flow->source[3], ports, flow->destination[3]};
    return hash_words(words, 5, 0x5ca1ab1e);
  }
  __be32 words[4] = {flow->source[0], ports, flow->destination[0], 0};
  return hash_words(words, 2, 0x0ddba11);
}

INLINE struct service_value *find_service(const struct connection *flow) {
  struct service key = {.port = flow->ports[1], .protocol = flow->protocol, .is_six = flow->is_six};
  __builtin_memcpy(key.addr, flow->destination, sizeof key.addr);
  struct service_value *found = bpf_map_lookup_elem(&edge_services, &key);
  if (found) return found;
  key.port = 0;
  found = bpf_map_lookup_elem(&edge_services, &key);
  return found && (found->flags & ANY_PORT) ? found : 0;
}

/* RFC 9000 section 17: the server's number is in the second to fourth byte of the connection id. */
/* 0: it names none, else the server's number plus one. */
INLINE __u32 by_connection_id(struct xdp_md *ctx, __u8 *payload) {
  if ((void *)(payload + 16) > end_of(ctx)) return 0;
  __u8 *id;
  if (payload[0] & 0x80) {
    if (payload[5] < 8) return 0;
    if ((payload[0] & 0x30) == 0) return 0; /* Initial: the client chose this id */
    id = payload + 6;
  } else {
    id = payload + 1;
  }
  if (id[0] >> 6 != 1) return 0;
  __u32 number = (id[1] << 16) | (id[2] << 8) | id[3];
  __u32 *which = bpf_map_lookup_elem(&connection_ids, &number);
  if (!which) return 0;
  tell(BY_CONNECTION_ID);
  return *which + 1;
}

/* The server of a flow, remembered or from the ring; its number for the counters. */
INLINE struct server *choose(const struct connection *flow, const struct service_value *service,
                             int is_new, __u32 *number) {
  if (!is_new && !(service->flags & BY_SOURCE)) {
    struct chosen *known = bpf_map_lookup_elem(&connections, flow);
    if (known) {
      *number = known->server;
      struct server *server = bpf_map_lookup_elem(&edge_servers, number);
      if (server && (server->addr[0] | server->addr[3])) {
        known->last += 1;
        tell(REMEMBERED);
        return server;
      }
    }
  }
  __u32 place = (service->number & 15) * RING_PLACES +
                hash_connection(flow, service->flags & BY_SOURCE) % RING_PLACES;
  __u32 *which = bpf_map_lookup_elem(&edge_ring, &place);
  if (!which) return 0;
  *number = *which;
  struct server *server = bpf_map_lookup_elem(&edge_servers, number);
  if (!server || !(server->addr[0] | server->addr[3])) return 0;
  if (!(service->flags & BY_SOURCE)) {
    struct chosen now = {.server = *number};
    bpf_map_update_elem(&connections, flow, &now, BPF_ANY);
  }
  tell(FROM_RING);
  return server;
}

INLINE int outer_four(struct xdp_md *ctx, const struct server *server, const struct outer *own,
                      __u16 length, __u8 protocol, __u32 hash) {
  if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct iphdr))) return XDP_DROP;
  struct ethhdr *eth = data_of(ctx);
  struct iphdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end_of(ctx)) return XDP_DROP;
  __builtin_memcpy(eth->h_source, own->mac, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, server->mac, ETH_ALEN);
  eth->h_proto = bpf_htons(ETH_P_IP);
  ip->version = 4;
  ip->ihl = 5;
  ip->tos = 0;
  ip->tot_len = bpf_htons(length + sizeof *ip);
  ip->id = hash;
  ip->frag_off = 0;
  ip->ttl = TTL;
  ip->protocol = protocol;
  ip->check = 0;
  ip->saddr = own->four ^ (hash & bpf_htonl(0xffff));
  ip->daddr = server->addr[0];
  ip->check = ipv4_checksum(ip);
  return XDP_TX;
}

INLINE int outer_six(struct xdp_md *ctx, const struct server *server, const struct outer *own,
                     __u16 length, __u8 protocol, __u32 hash) {
  if (bpf_xdp_adjust_head(ctx, -(int)sizeof(struct ipv6hdr))) return XDP_DROP;
  struct ethhdr *eth = data_of(ctx);
  struct ipv6hdr *ip = (void *)(eth + 1);
  if ((void *)(ip + 1) > end_of(ctx)) return XDP_DROP;
  __builtin_memcpy(eth->h_source, own->mac, ETH_ALEN);
  __builtin_memcpy(eth->h_dest, server->mac, ETH_ALEN);
  eth->h_proto = bpf_htons(ETH_P_IPV6);
  ip->version = 6;
  ip->priority = 0;
  __builtin_memset(ip->flow_lbl, 0, sizeof ip->flow_lbl);
  ip->payload_len = bpf_htons(length);
  ip->nexthdr = protocol;
  ip->hop_limit = TTL;
  __builtin_memcpy(&ip->saddr, own->six, sizeof own->six);
  ip->saddr.in6_u.u6_addr32[3] ^= hash;
  __builtin_memcpy(&ip->daddr, server->addr, sizeof server->addr);
  return XDP_TX;
}

/* The end of every way through: the flow is known, `length` is that of the packet from its IP header. */
INLINE int deliver(struct xdp_md *ctx, const struct connection *flow, __u32 quic, int is_new,
                   __u16 length, int tags) {
  struct service_value *service = find_service(flow);
  if (!service) return XDP_PASS;
  if (service->flags & IS_LOCAL) return XDP_PASS;
  __u32 number = quic - 1;
  struct server *server = 0;
  if (quic && (service->flags & IS_QUIC)) server = bpf_map_lookup_elem(&edge_servers, &number);
  if (!server) server = choose(flow, service, is_new, &number);
  if (!server) {
    tell(NO_SERVER);
    return XDP_DROP;
  }
  struct count *count = bpf_map_lookup_elem(&counts, &number);
  if (count) {
    count->packets += 1;
    count->bytes += length;
  }
  if (length > LONGEST) tell(TOO_LONG);
  __u32 zero = 0;
  struct outer *own = bpf_map_lookup_elem(&outer_addresses, &zero);
  if (!own) return XDP_DROP;
  if (tags && bpf_xdp_adjust_head(ctx, tags == 1 ? 4 : 8)) return XDP_DROP;
  __u32 hash = flow->source[flow->is_six ? 3 : 0] ^ ((__u32)flow->ports[0] << 16);
  __u8 protocol = flow->is_six ? IPPROTO_IPV6 : IPPROTO_IPIP;
  if (server->is_six) return outer_six(ctx, server, own, length, protocol, hash);
  return outer_four(ctx, server, own, length, protocol, hash);
}

INLINE int ports_of(struct xdp_md *ctx, void *l4, struct connection *flow, int *is_new, __u32 *quic) {
  if (flow->protocol == IPPROTO_TCP) {
    struct tcphdr *tcp = l4;
    if ((void *)(tcp + 1) > end_of(ctx)) return 0;
    flow->ports[0] = tcp->source;
    flow->ports[1] = tcp->dest;
    *is_new = tcp->syn && !tcp->ack;
    return 1;
  }
  if (flow->protocol != IPPROTO_UDP) return 0;
  struct udphdr *udp = l4;
  if ((void *)(udp + 1) > end_of(ctx)) return 0;
  flow->ports[0] = udp->source;
  flow->ports[1] = udp->dest;
  if (udp->dest == bpf_htons(QUIC_PORT)) *quic = by_connection_id(ctx, (void *)(udp + 1));
  return 1;
}

/* The flow that an ICMP error is about, the other way round. */
INLINE int quoted_ports(struct xdp_md *ctx, void *l4, struct connection *flow) {
  struct udphdr *udp = l4;
  if (flow->protocol != IPPROTO_TCP && flow->protocol != IPPROTO_UDP) return 0;
  if ((void *)(udp + 1) > end_of(ctx)) return 0;
  flow->ports[0] = udp->dest;
  flow->ports[1] = udp->source;
  return 1;
}

INLINE int answer_four(struct ethhdr *eth, struct iphdr *ip, struct icmphdr *icmp) {
  tell(PINGS);
  __be32 addr = ip->saddr;
  ip->saddr = ip->daddr;
  ip->daddr = addr;
  ip->ttl = TTL;
  ip->check = 0;
  ip->check = ipv4_checksum(ip);
  icmp->type = ICMP_ECHOREPLY;
  icmp->checksum = adjust16(icmp->checksum, ICMP_ECHO, ICMP_ECHOREPLY);
  swap_macs(eth);
  return XDP_TX;
}

INLINE int answer_six(struct ethhdr *eth, struct ipv6hdr *ip, struct icmp6hdr *icmp) {
  tell(PINGS);
  struct in6_addr addr = ip->saddr;
  ip->saddr = ip->daddr;
  ip->daddr = addr;
  ip->hop_limit = TTL;
  icmp->icmp6_type = ICMPV6_ECHO_REPLY;
  icmp->icmp6_cksum = adjust16(icmp->icmp6_cksum, ICMPV6_ECHO_REQUEST, ICMPV6_ECHO_REPLY);
  swap_macs(eth);
  return XDP_TX;
}

INLINE int four(struct xdp_md *ctx, struct ethhdr *eth, struct iphdr *ip, int tags) {
  if ((void *)(ip + 1) > end_of(ctx)) {
    tell(TOO_SHORT);
    return XDP_DROP;
  }
  if (ip->ihl != 5) return XDP_DROP;
  if (ip->frag_off & bpf_htons(0x3fff)) {
    tell(FRAGMENTS);
    return XDP_PASS;
  }
  struct connection flow = {.protocol = ip->protocol};
  __u32 quic = 0;
  __u16 length = bpf_ntohs(ip->tot_len);
  int is_new = 0;
  if (ip->protocol == IPPROTO_ICMP) {
    struct icmphdr *icmp = (void *)(ip + 1);
    if ((void *)(icmp + 1) > end_of(ctx)) return XDP_DROP;
    if (icmp->type == ICMP_ECHO) return answer_four(eth, ip, icmp);
    if (icmp->type != ICMP_DEST_UNREACH) return XDP_PASS;
    struct iphdr *quoted = (void *)(icmp + 1);
    if ((void *)(quoted + 1) > end_of(ctx) || quoted->ihl != 5) return XDP_DROP;
    flow.protocol = quoted->protocol;
    flow.source[0] = quoted->daddr;
    flow.destination[0] = quoted->saddr;
    if (!quoted_ports(ctx, quoted + 1, &flow)) return XDP_PASS;
    tell(ERRORS);
    return deliver(ctx, &flow, 0, 0, length, tags);
  }
  flow.source[0] = ip->saddr;
  flow.destination[0] = ip->daddr;
  if (!ports_of(ctx, ip + 1, &flow, &is_new, &quic)) return XDP_PASS;
  return deliver(ctx, &flow, quic, is_new, length, tags);
}

INLINE int six(struct xdp_md *ctx, struct ethhdr *eth, struct ipv6hdr *ip, int tags) {
  if ((void *)(ip + 1) > end_of(ctx)) {
    tell(TOO_SHORT);
    return XDP_DROP;
  }
  if (ip->nexthdr == IPPROTO_FRAGMENT) {
    tell(FRAGMENTS);
    return XDP_DROP;
  }
  struct connection flow = {.protocol = ip->nexthdr, .is_six = 1};
  __u32 quic = 0;
  __u16 length = bpf_ntohs(ip->payload_len) + sizeof *ip;
  int is_new = 0;
  if (ip->nexthdr == IPPROTO_ICMPV6) {
    struct icmp6hdr *icmp = (void *)(ip + 1);
    if ((void *)(icmp + 1) > end_of(ctx)) return XDP_DROP;
    if (icmp->icmp6_type == ICMPV6_ECHO_REQUEST) return answer_six(eth, ip, icmp);
    if (icmp->icmp6_type != ICMPV6_PKT_TOOBIG && icmp->icmp6_type != ICMPV6_DEST_UNREACH) return XDP_PASS;
    struct ipv6hdr *quoted = (void *)(icmp + 1);
    if ((void *)(quoted + 1) > end_of(ctx)) return XDP_DROP;
    flow.protocol = quoted->nexthdr;
    __builtin_memcpy(flow.source, &quoted->daddr, sizeof flow.source);
    __builtin_memcpy(flow.destination, &quoted->saddr, sizeof flow.destination);
    if (!quoted_ports(ctx, quoted + 1, &flow)) return XDP_PASS;
    tell(ERRORS);
    return deliver(ctx, &flow, 0, 0, length, tags);
  }
  __builtin_memcpy(flow.source, &ip->saddr, sizeof flow.source);
  __builtin_memcpy(flow.destination, &ip->daddr, sizeof flow.destination);
  if (!ports_of(ctx, ip + 1, &flow, &is_new, &quic)) return XDP_PASS;
  return deliver(ctx, &flow, quic, is_new, length, tags);
}

SEC("xdp")
int edge_balancer(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_DROP;
  __be16 type = eth->h_proto;
  void *next = eth + 1;
  int tags = 0;
#pragma unroll
  for (int i = 0; i < MAX_TAGS; i++) {
    struct vlan_header *tag = next;
    if (type != bpf_htons(ETH_P_8021Q) && type != bpf_htons(ETH_P_8021AD)) break;
    if ((void *)(tag + 1) > end_of(ctx)) return XDP_DROP;
    type = tag->type;
    next = tag + 1;
    tags++;
  }
  if (type == bpf_htons(ETH_P_IP)) return four(ctx, eth, next, tags);
  if (type == bpf_htons(ETH_P_IPV6)) return six(ctx, eth, next, tags);
  return XDP_PASS;
}

char _license[] SEC("license") = "Apache-2.0";
