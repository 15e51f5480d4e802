/** What an AF_XDP queue counts beside the counters of every device, and the kernel's own counts. */
import type { Counters } from "../base/counters.js";
import { STATISTICS, type XskSocket } from "../sys/xsk.js";
import type { DeviceTally } from "./device-tally.js";

/** The first six in the order of XDP_STATISTICS. */
export const XDP_COUNTERS = {
  rxDropped: "Kernel: frames lost for want of a slot or of room in it, or for other reasons.",
  rxInvalidDescs: "Kernel: entries of the fill ring that it refused.",
  txInvalidDescs: "Kernel: descriptors of the tx ring that it refused; the frames are lost.",
  rxRingFull: "Kernel: frames lost because received ones had not been taken.",
  rxFillEmpty: "Kernel: frames lost because there was no slot to put them in.",
  txRingEmpty: "Kernel: calls that found nothing to send.",
  txKicks: "Calls that had the kernel send.",
  rxWakes: "Calls that had the kernel look at the fill ring, or poll.",
  rxJoined: "Received frames that came as several descriptors and were put together.",
  rxBadDescs: "Descriptors from the kernel that named no slot of its; ignored.",
  txCopied: "Sent frames that had to be copied into slots that the NIC can see.",
} as const;
export type XdpCounter = keyof typeof XDP_COUNTERS;

const NAMES = Object.keys(XDP_COUNTERS);
export const XdpCount = {
  RX_DROPPED: NAMES.indexOf("rxDropped"),
  RX_INVALID: NAMES.indexOf("rxInvalidDescs"),
  TX_INVALID: NAMES.indexOf("txInvalidDescs"),
  RX_RING_FULL: NAMES.indexOf("rxRingFull"),
  RX_FILL_EMPTY: NAMES.indexOf("rxFillEmpty"),
  TX_KICKS: NAMES.indexOf("txKicks"),
  RX_WAKES: NAMES.indexOf("rxWakes"),
  RX_JOINED: NAMES.indexOf("rxJoined"),
  RX_BAD_DESCS: NAMES.indexOf("rxBadDescs"),
  TX_COPIED: NAMES.indexOf("txCopied"),
} as const;

/** Adds up the kernel's counts of one socket, which wrap at 2^32 on their way here. */
export class KernelStatistics {
  private readonly now = new Int32Array(STATISTICS);
  private readonly before = new Int32Array(STATISTICS);
  private readonly more = new Float64Array(STATISTICS);

  /** Brings the counters up to date; those that every device has, too. */
  read(socket: XskSocket, counters: Counters<XdpCounter>, tally: DeviceTally): void {
    if (!socket.readStatistics(this.now)) return;
    for (let i = 0; i < STATISTICS; i++) {
      this.more[i] = (this.now[i]! - this.before[i]!) >>> 0;
      counters.add(i, this.more[i]!);
    }
    this.before.set(this.now);
    const noSlot = this.more[XdpCount.RX_FILL_EMPTY]!;
    const dropped = this.more[XdpCount.RX_DROPPED]!;
    // A frame that found no slot is counted as dropped, too.
    const otherwise = Math.max(0, dropped - noSlot);
    const invalid = this.more[XdpCount.RX_INVALID]!;
    tally.rxNoSlot(noSlot);
    tally.rxError(otherwise + invalid + this.more[XdpCount.RX_RING_FULL]!);
    tally.txError(this.more[XdpCount.TX_INVALID]!);
  }
}
