/** TCP_INFO as Linux lays it out: `struct tcp_info` of linux/tcp.h, to which only fields are added. */
import type { TcpInfo } from "../tcp/tcp-info.js";

/** Bytes of the structure as Linux 6.7 has it. */
export const TCP_INFO_BYTES = 248;
const INFINITE_SSTHRESH = 0x7fff_ffff;
const US_PER_MS = 1_000;

/** Writes the structure at `at`, all of its bytes. */
export function writeTcpInfo(view: DataView, at: number, info: TcpInfo): void {
  for (let i = 0; i < TCP_INFO_BYTES; i += 8) view.setFloat64(at + i, 0);
  const u8 = (offset: number, value: number): void => view.setUint8(at + offset, value);
  const u32 = (offset: number, value: number): void =>
    view.setUint32(at + offset, Math.min(0xffff_ffff, Math.max(0, Math.floor(value))), true);
  const u64 = (offset: number, value: number): void =>
    view.setBigUint64(at + offset, BigInt(Math.max(0, Math.floor(value))), true);
  const ms = (us: number): number => us / US_PER_MS;
  u8(0, info.state);
  u8(1, info.caState);
  u8(2, info.retransmits);
  u8(3, info.probes);
  u8(4, info.backoff);
  u8(5, info.options);
  u8(6, (info.sndWscale & 15) | ((info.rcvWscale & 15) << 4));
  u32(8, info.rtoUs);
  u32(12, info.atoUs);
  u32(16, info.sndMss);
  u32(20, info.rcvMss);
  u32(24, info.unacked);
  u32(28, info.sacked);
  u32(32, info.lost);
  u32(36, info.retrans);
  u32(44, ms(info.lastDataSentUs));
  u32(52, ms(info.lastDataRecvUs));
  u32(56, ms(info.lastAckRecvUs));
  u32(60, info.pmtuBytes);
  u32(64, info.rcvSsthreshBytes);
  u32(68, info.rttUs);
  u32(72, info.rttVarUs);
  u32(76, Math.min(info.sndSsthresh, INFINITE_SSTHRESH));
  u32(80, info.sndCwnd);
  u32(84, info.advMss);
  u32(88, info.reordering);
  u32(92, info.rcvRttUs);
  u32(96, info.rcvSpaceBytes);
  u32(100, info.totalRetrans);
  u64(104, info.pacingRateBytesPerSec);
  view.setBigUint64(at + 112, 0xffff_ffff_ffff_ffffn, true); // no SO_MAX_PACING_RATE
  u64(120, info.bytesAcked);
  u64(128, info.bytesReceived);
  u32(136, info.segsOut);
  u32(140, info.segsIn);
  u32(144, info.notsentBytes);
  u32(148, info.minRttUs);
  u32(152, info.dataSegsIn);
  u32(156, info.dataSegsOut);
  u64(160, info.deliveryRateBytesPerSec);
  u32(192, info.delivered);
  u32(196, info.deliveredCe);
  u64(200, info.bytesSent);
  u64(208, info.bytesRetrans);
  u32(216, info.dsackDups);
  u32(220, info.reordSeen);
  u32(224, info.rcvOoopack);
  u32(228, info.sndWndBytes);
  u32(232, info.rcvWndBytes);
}
