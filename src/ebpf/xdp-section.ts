/** What the name of a program's section says of where it attaches, as libbpf reads it: also `xdp_devmap/name` of before. */

/** Runs behind the redirection to a device, and may see which (`egress_ifindex`). */
export const isForDeviceMap = (section: string): boolean =>
  /^xdp(\.frags)?[/_]devmap(\/|$)/.test(section);

/** Runs on the CPU that a packet was redirected to. */
export const isForCpuMap = (section: string): boolean =>
  /^xdp(\.frags)?[/_]cpumap(\/|$)/.test(section);
