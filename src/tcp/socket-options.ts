/**
 * Options of a row (`TcpOption`): ranges, what a change brings about, and reading them back. Out of
 * range is -EINVAL, unknown -ENOPROTOOPT, as setsockopt(2) has it.
 */
import { EINVAL, ENOPROTOOPT } from "../base/errno.js";
import type { TcpCore } from "./core.js";
import { enterPingpong, enterQuickAckMode } from "./delayed-ack.js";
import { computeSndMss } from "./handshake.js";
import { startKeepalive } from "./keepalive.js";
import { Algorithm } from "./recovery.js";
import { isSynchronized } from "./state.js";
import { Pending, TcbFlags, TcbOptions } from "./tcb.js";
import { TcpOption } from "./tcp-option.js";

const inRange = (v: number, least: number, most: number): boolean =>
  Number.isInteger(v) && v >= least && v <= most;

/** On or off options and their bits. */
const SWITCHES: ReadonlyMap<number, number> = new Map([
  [TcpOption.NODELAY, TcbOptions.NODELAY],
  [TcpOption.CORK, TcbOptions.CORK],
  [TcpOption.KEEPALIVE, TcbOptions.KEEPALIVE],
  [TcpOption.OOBINLINE, TcbOptions.OOBINLINE],
]);

const UNSIGNED: ReadonlySet<number> = new Set([
  TcpOption.SNDBUF,
  TcpOption.RCVBUF,
  TcpOption.RCVLOWAT,
  TcpOption.NOTSENT_LOWAT,
]);

/** TCP_FIN_TIMEOUT_MAX of Linux. */
const MAX_LINGER2_SECONDS = 120;

/** Sets an option of the selected row: 0 or a negated errno. */
export function setRowOption(t: TcpCore, option: number, value: number): number {
  const c = t.c;
  const bit = SWITCHES.get(option);
  if (bit === undefined) return setValue(t, option, value);
  c.options = value !== 0 ? c.options | bit : c.options & ~bit;
  if (!isSynchronized(c.state)) return 0;
  if (option === TcpOption.KEEPALIVE) startKeepalive(t);
  // Uncorking and TCP_NODELAY push what was held back.
  const pushes = option === TcpOption.CORK ? value === 0 : option === TcpOption.NODELAY;
  if (pushes) t.want(Pending.OUTPUT);
  return 0;
}

function setValue(t: TcpCore, option: number, v: number): number {
  const c = t.c;
  switch (option) {
    case TcpOption.MAXSEG:
      if (v !== 0 && !inRange(v, 88, 32_767)) return -EINVAL;
      c.ownMss = (c.ownMss & 0xffff) | (v << 16);
      if (isSynchronized(c.state)) c.sndMss = Math.min(c.sndMss, computeSndMss(t));
      return 0;
    case TcpOption.KEEPIDLE:
      if (!inRange(v, 1, 32_767)) return -EINVAL;
      c.keepTimes = (c.keepTimes & ~0xffff) | v;
      if (isSynchronized(c.state)) startKeepalive(t);
      return 0;
    case TcpOption.KEEPINTVL:
      if (!inRange(v, 1, 32_767)) return -EINVAL;
      c.keepTimes = (c.keepTimes & 0xffff) | (v << 16);
      return 0;
    case TcpOption.KEEPCNT:
      if (!inRange(v, 1, 127)) return -EINVAL;
      c.keepCounts = (c.keepCounts & ~0xff) | v;
      return 0;
    case TcpOption.SYNCNT:
      if (!inRange(v, 1, 127)) return -EINVAL;
      c.keepCounts = (c.keepCounts & 0xff) | (v << 8);
      return 0;
    case TcpOption.QUICKACK:
      if (v !== 0) enterQuickAckMode(t);
      else enterPingpong(t);
      if (v !== 0 && (c.pending & Pending.ACK_DELAYED) !== 0) t.want(Pending.ACK_NOW);
      return 0;
    default:
      return setAmount(t, option, v);
  }
}

/** Options that are a number in a field of their own. */
function setAmount(t: TcpCore, option: number, v: number): number {
  const c = t.c;
  const s = t.settings;
  if (option === TcpOption.LINGER || option === TcpOption.LINGER2) {
    if (!inRange(v, -1, 0x7fffffff)) return -EINVAL;
    if (option === TcpOption.LINGER) c.lingerSeconds = v;
    else c.linger2Seconds = Math.min(v, MAX_LINGER2_SECONDS);
    return 0;
  }
  // Linux takes a negative amount as nothing, or as a number without sign: as much as there may be.
  if (v < 0 && option === TcpOption.DEFER_ACCEPT) v = 0;
  else if (v < 0 && UNSIGNED.has(option)) v = 0x7fffffff;
  if (!inRange(v, 0, 0x7fffffff)) return -EINVAL;
  switch (option) {
    case TcpOption.DEFER_ACCEPT:
      c.deferSeconds = v;
      return 0;
    case TcpOption.WINDOW_CLAMP:
      c.windowClampBytes = v === 0 ? 0 : Math.max(v, s.rmemMinBytes >> 1);
      return 0;
    case TcpOption.USER_TIMEOUT:
      c.userTimeoutMs = v;
      return 0;
    case TcpOption.NOTSENT_LOWAT:
      c.notsentLowatBytes = v;
      return 0;
    case TcpOption.RCVLOWAT:
      return setRcvLowat(t, v);
    case TcpOption.SNDBUF:
      c.sndBufBytes = Math.max(s.wmemMinBytes, Math.min(v, s.wmemMaxBytes));
      c.flags |= TcbFlags.SNDBUF_LOCKED;
      return 0;
    case TcpOption.RCVBUF:
      c.rcvBufBytes = Math.max(s.rmemMinBytes, Math.min(v, s.rmemMaxBytes));
      c.flags |= TcbFlags.RCVBUF_LOCKED;
      return 0;
    case TcpOption.CONGESTION:
      if (v > Algorithm.RENO) return -EINVAL;
      t.recovery.setAlgorithm(c, v);
      return 0;
    case TcpOption.ECN:
      if (v > 2) return -EINVAL;
      c.options =
        (c.options & ~(3 << TcbOptions.ECN_MODE_SHIFT)) | (v << TcbOptions.ECN_MODE_SHIFT);
      return 0;
    default:
      return -ENOPROTOOPT;
  }
}

/** SO_RCVLOWAT: at most half the buffer, which grows for it unless SO_RCVBUF was set, as in Linux. */
function setRcvLowat(t: TcpCore, v: number): number {
  const c = t.c;
  const isLocked = c.has(TcbFlags.RCVBUF_LOCKED);
  const most = (isLocked ? c.rcvBufBytes : t.settings.rmemMaxBytes) >> 1;
  const lowat = Math.max(1, Math.min(v, most));
  c.rcvLowatBytes = lowat;
  if (!isLocked && 2 * lowat > c.rcvBufBytes) c.rcvBufBytes = 2 * lowat;
  return 0;
}

/** Reads an option of the selected row; below -1 a negated errno (-1 is a value of LINGER). */
export function getRowOption(t: TcpCore, option: number): number {
  const c = t.c;
  const bit = SWITCHES.get(option);
  if (bit !== undefined) return (c.options & bit) !== 0 ? 1 : 0;
  switch (option) {
    case TcpOption.MAXSEG:
      return isSynchronized(c.state) ? c.sndMss : c.ownMss >>> 16 || 536;
    case TcpOption.KEEPIDLE:
      return c.keepTimes & 0xffff;
    case TcpOption.KEEPINTVL:
      return c.keepTimes >>> 16;
    case TcpOption.KEEPCNT:
      return c.keepCounts & 0xff;
    case TcpOption.SYNCNT:
      return c.keepCounts >>> 8;
    case TcpOption.QUICKACK:
      return (c.ackState & 0x100) === 0 ? 1 : 0;
    case TcpOption.LINGER:
      return c.lingerSeconds;
    case TcpOption.LINGER2:
      return c.linger2Seconds === 0 ? t.settings.finTimeoutUs / 1_000_000 : c.linger2Seconds;
    case TcpOption.DEFER_ACCEPT:
      return c.deferSeconds;
    case TcpOption.WINDOW_CLAMP:
      return c.windowClampBytes;
    case TcpOption.USER_TIMEOUT:
      return c.userTimeoutMs;
    case TcpOption.NOTSENT_LOWAT:
      return c.notsentLowatBytes;
    case TcpOption.RCVLOWAT:
      return c.rcvLowatBytes;
    case TcpOption.SNDBUF:
      return c.sndBufBytes;
    case TcpOption.RCVBUF:
      return c.rcvBufBytes;
    case TcpOption.CONGESTION:
      return c.algorithm;
    case TcpOption.ECN:
      return (c.options >>> TcbOptions.ECN_MODE_SHIFT) & 3;
    default:
      return -ENOPROTOOPT;
  }
}
