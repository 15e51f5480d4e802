/*
 * Against floods: a source gets so many packets per window of all packets, more are dropped and it is
 * reported once. Time is counted in packets, so that a run can be repeated.
 */
#include "packet.h"

volatile const __u32 window = 64;
volatile const __u32 allowed = 8;

struct source {
  __u64 window;
  __u32 packets;
  __u32 dropped;
};

struct report {
  __be32 addr;
  __u32 packets;
  __u64 window;
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 16384);
  __type(key, __be32);
  __type(value, struct source);
} sources SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 65536);
} reports SEC(".maps");

__u64 seen;

INLINE void report(__be32 addr, const struct source *source) {
  struct report *report = bpf_ringbuf_reserve(&reports, sizeof *report, 0);
  if (!report) return;
  report->addr = addr;
  report->packets = source->packets;
  report->window = source->window;
  bpf_ringbuf_submit(report, 0);
}

SEC("xdp")
int ddos_guard(struct xdp_md *ctx) {
  struct iphdr *ip = ipv4_of(ctx);
  if (!ip) return XDP_PASS;
  __u64 now = __sync_fetch_and_add(&seen, 1) / window;
  __be32 addr = ip->saddr;
  struct source *source = bpf_map_lookup_elem(&sources, &addr);
  if (!source) {
    struct source fresh = {.window = now, .packets = 1};
    return bpf_map_update_elem(&sources, &addr, &fresh, BPF_ANY) ? XDP_ABORTED : XDP_PASS;
  }
  if (source->window != now) {
    source->window = now;
    source->packets = 0;
  }
  source->packets++;
  if (source->packets <= allowed) return XDP_PASS;
  if (source->packets == allowed + 1) report(addr, source);
  source->dropped++;
  return XDP_DROP;
}

char _license[] SEC("license") = "Apache-2.0";
