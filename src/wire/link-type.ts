/**
 * Link types of capture files: what the first byte of a captured packet is.
 *
 * Numbers are the LINKTYPE_ values that pcap and pcapng store. A few files carry the DLT_ value of
 * the system that wrote them instead (12 and 14 for raw IP); {@link isRawIp} knows those.
 */

export const NULL = 0;
export const EN10MB = 1;
export const RAW_DLT = 12;
export const RAW_OPENBSD = 14;
export const RAW = 101;
export const LOOP = 108;
export const LINUX_SLL = 113;
export const IPV4 = 228;
export const IPV6 = 229;
export const DBUS = 231;
export const LINUX_SLL2 = 276;

const NAMES: ReadonlyMap<number, readonly [name: string, meaning: string]> = new Map([
  [NULL, ["NULL", "BSD loopback"]],
  [EN10MB, ["EN10MB", "Ethernet"]],
  [3, ["AX25", "AX.25 layer 2"]],
  [6, ["IEEE802", "Token Ring"]],
  [7, ["ARCNET_BSD", "ARCNET, BSD encapsulation"]],
  [8, ["SLIP", "SLIP"]],
  [9, ["PPP", "PPP"]],
  [10, ["FDDI", "FDDI"]],
  [RAW_DLT, ["RAW", "raw IP"]],
  [RAW_OPENBSD, ["RAW", "raw IP"]],
  [50, ["PPP_HDLC", "PPP in HDLC-like framing"]],
  [51, ["PPP_ETHER", "PPPoE"]],
  [100, ["ATM_RFC1483", "LLC-encapsulated ATM"]],
  [RAW, ["RAW", "raw IP"]],
  [104, ["C_HDLC", "Cisco HDLC"]],
  [105, ["IEEE802_11", "802.11"]],
  [107, ["FRELAY", "Frame Relay"]],
  [LOOP, ["LOOP", "OpenBSD loopback"]],
  [LINUX_SLL, ["LINUX_SLL", "Linux cooked v1"]],
  [114, ["LTALK", "LocalTalk"]],
  [117, ["PFLOG", "OpenBSD pflog"]],
  [119, ["IEEE802_11_PRISM", "802.11 with Prism header"]],
  [122, ["IP_OVER_FC", "IP over Fibre Channel"]],
  [123, ["SUNATM", "Sun raw ATM"]],
  [127, ["IEEE802_11_RADIOTAP", "802.11 with radiotap header"]],
  [129, ["ARCNET_LINUX", "ARCNET, Linux encapsulation"]],
  [138, ["APPLE_IP_OVER_IEEE1394", "IP over IEEE 1394"]],
  [163, ["IEEE802_11_AVS", "802.11 with AVS header"]],
  [189, ["USB_LINUX", "USB with Linux header"]],
  [192, ["PPI", "per-packet information"]],
  [195, ["IEEE802_15_4_WITHFCS", "802.15.4 with FCS"]],
  [201, ["BLUETOOTH_HCI_H4_WITH_PHDR", "Bluetooth HCI"]],
  [204, ["PPP_WITH_DIR", "PPP with direction"]],
  [220, ["USB_LINUX_MMAPPED", "USB with padded Linux header"]],
  [226, ["IPNET", "Solaris ipnet"]],
  [227, ["CAN_SOCKETCAN", "SocketCAN"]],
  [IPV4, ["IPV4", "raw IPv4"]],
  [IPV6, ["IPV6", "raw IPv6"]],
  [230, ["IEEE802_15_4_NOFCS", "802.15.4 without FCS"]],
  [DBUS, ["DBUS", "D-Bus"]],
  [239, ["NFLOG", "Linux netfilter log"]],
  [240, ["NETANALYZER", "Ethernet with netANALYZER header"]],
  [242, ["IPOIB", "IP over InfiniBand"]],
  [247, ["INFINIBAND", "InfiniBand"]],
  [249, ["USBPCAP", "USB with USBPcap header"]],
  [251, ["BLUETOOTH_LE_LL", "Bluetooth low energy"]],
  [253, ["NETLINK", "Linux netlink"]],
  [258, ["PKTAP", "Apple packet tap"]],
  [271, ["VSOCK", "Linux vsock"]],
  [LINUX_SLL2, ["LINUX_SLL2", "Linux cooked v2"]],
]);

/** The short name, `EN10MB`; `LINKTYPE 4711` for one that the table lacks. */
export function nameOf(linkType: number): string {
  return NAMES.get(linkType)?.[0] ?? `LINKTYPE ${linkType}`;
}

/** What the name stands for, `Ethernet`; `unknown` for one that the table lacks. */
export function meaningOf(linkType: number): string {
  return NAMES.get(linkType)?.[1] ?? "unknown";
}

/** Whether packets begin with an IPv4 or IPv6 header. */
export function isRawIp(linkType: number): boolean {
  return (
    linkType === RAW ||
    linkType === RAW_DLT ||
    linkType === RAW_OPENBSD ||
    linkType === IPV4 ||
    linkType === IPV6
  );
}
