/* A switch: learns where addresses are, sends to the port of the destination, floods to none. */
#include "packet.h"

struct mac {
  __u8 bytes[6];
};

struct place {
  __u32 port;
  __u32 moves;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 4096);
  __type(key, struct mac);
  __type(value, struct place);
} places SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
  __uint(max_entries, 64);
  __type(key, __u32);
  __type(value, __u32);
} ports SEC(".maps");

SEC("xdp")
int learning_switch(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_DROP;
  struct mac source;
  struct mac target;
  __builtin_memcpy(&source, eth->h_source, sizeof source);
  __builtin_memcpy(&target, eth->h_dest, sizeof target);
  __u32 port = ctx->ingress_ifindex;
  if (!(source.bytes[0] & 1)) {
    struct place *known = bpf_map_lookup_elem(&places, &source);
    if (!known) {
      struct place fresh = {.port = port};
      bpf_map_update_elem(&places, &source, &fresh, BPF_ANY);
    } else if (known->port != port) {
      known->port = port;
      known->moves++;
    }
  }
  if (target.bytes[0] & 1) return XDP_PASS;
  struct place *place = bpf_map_lookup_elem(&places, &target);
  if (!place) return XDP_PASS;
  if (target.bytes[5] == 0xff) bpf_map_delete_elem(&places, &source);
  return bpf_redirect_map(&ports, place->port, XDP_DROP);
}

char _license[] SEC("license") = "GPL";
