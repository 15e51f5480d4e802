/** What an XDP program returns: `enum xdp_action` of linux/bpf.h. */
export const XdpVerdict = { ABORTED: 0, DROP: 1, PASS: 2, TX: 3, REDIRECT: 4 } as const;

const NAMES = ["XDP_ABORTED", "XDP_DROP", "XDP_PASS", "XDP_TX", "XDP_REDIRECT"];

/** `XDP_DROP`; the number for values that mean nothing, which the kernel treats as XDP_ABORTED. */
export const verdictName = (verdict: number): string => NAMES[verdict] ?? String(verdict);
