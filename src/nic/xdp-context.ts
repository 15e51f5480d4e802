/** What XDP programs are given and return: `struct xdp_md` and `enum xdp_action` of linux/bpf.h. */

/** Places in the context. */
export const DATA_AT = 0;
export const DATA_END_AT = 4;
export const DATA_META_AT = 8;
export const RX_QUEUE_INDEX_AT = 16;

export const XdpVerdict = { ABORTED: 0, DROP: 1, PASS: 2, TX: 3, REDIRECT: 4 } as const;

/** The XSKMAP's name in our programs: receive queue number to AF_XDP socket. */
export const SOCKETS_MAP = "sockets";
