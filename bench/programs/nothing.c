/* What running any program costs. */
#include "packet.h"

SEC("xdp")
int nothing(struct xdp_md *ctx __attribute__((unused))) { return XDP_PASS; }

char _license[] SEC("license") = "Apache-2.0";
