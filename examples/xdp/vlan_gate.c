/*
 * Programs that call each other: the first looks at the tag and goes on to the one for it. Tagged frames
 * lose their tag, or get one, and metadata for whoever is behind.
 */
#include "packet.h"

int strip(struct xdp_md *ctx);
int mark(struct xdp_md *ctx);

struct {
  __uint(type, BPF_MAP_TYPE_PROG_ARRAY);
  __uint(max_entries, 4);
  __uint(key_size, sizeof(__u32));
  __array(values, int(struct xdp_md *));
} stages SEC(".maps") = {.values = {[0] = (void *)&strip, [1] = (void *)&mark}};

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 4);
  __type(key, __u32);
  __type(value, __u64);
} taken SEC(".maps");

INLINE void count(__u32 stage) {
  __u64 *packets = bpf_map_lookup_elem(&taken, &stage);
  if (packets) *packets += 1;
}

SEC("xdp")
int vlan_gate(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_DROP;
  if (eth->h_proto == bpf_htons(ETH_P_8021Q)) bpf_tail_call(ctx, &stages, 0);
  else if (eth->h_proto == bpf_htons(ETH_P_IP)) bpf_tail_call(ctx, &stages, 1);
  else bpf_tail_call(ctx, &stages, 2);
  count(3);
  return XDP_PASS;
}

SEC("xdp")
int strip(struct xdp_md *ctx) {
  struct ethhdr *eth = data_of(ctx);
  struct vlan_header *vlan = (void *)(eth + 1);
  if ((void *)(vlan + 1) > end_of(ctx)) return XDP_DROP;
  struct ethhdr kept;
  __builtin_memcpy(&kept, eth, sizeof kept);
  kept.h_proto = vlan->type;
  if (bpf_xdp_adjust_head(ctx, sizeof *vlan)) return XDP_DROP;
  eth = data_of(ctx);
  if ((void *)(eth + 1) > end_of(ctx)) return XDP_DROP;
  __builtin_memcpy(eth, &kept, sizeof kept);
  count(0);
  return XDP_PASS;
}

SEC("xdp")
int mark(struct xdp_md *ctx) {
  if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(__u32))) return XDP_DROP;
  __u32 *meta = (void *)(long)ctx->data_meta;
  if ((void *)(meta + 1) > data_of(ctx)) return XDP_DROP;
  *meta = 0x6d72;
  count(1);
  return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
