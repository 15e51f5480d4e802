/** The TCP engine's public face. The bodies arrive with the next commits. */
import type { IpAddress } from "../base/ip-address.js";
import type { Random } from "../base/random.js";
import type { SegmentInfo } from "./segment-info.js";
import type { Seq } from "./seq.js";
import type { TcpSettings } from "./settings.js";
import type { Slots } from "./slots.js";
import type { Tcb } from "./tcb.js";
import type { TcpHost } from "./tcp-host.js";
import type { TcpInfo } from "./tcp-info.js";

export interface TcpConfig {
  readonly slots: Slots;
  readonly host: TcpHost;
  readonly random: Random;
  /** 16 secret bytes: they key initial sequence numbers, timestamp offsets and SYN cookies. */
  readonly secret: Uint8Array;
  /** Rows at most; the arrays grow towards it as needed. */
  readonly capacityRows: number;
  readonly settings?: Partial<TcpSettings>;
}

export interface TcpApi {
  /** The reused view: `tcb.select(row)`, then fields; borrowed until the next call. */
  readonly tcb: Tcb;
  create(): number;
  destroy(row: number): void;
  setLocal(row: number, address: IpAddress, port: number): void;
  setRemote(row: number, address: IpAddress, port: number): void;
  listen(row: number, backlog: number, nowUs: number): number;
  connect(row: number, nowUs: number): number;
  accept(row: number): number;
  send(row: number, bytes: Uint8Array, at: number, n: number, flags: number, nowUs: number): number;
  receive(
    row: number,
    bytes: Uint8Array,
    at: number,
    n: number,
    flags: number,
    nowUs: number,
  ): number;
  receiveSlot(row: number, nowUs: number): number;
  shutdown(row: number, how: number, nowUs: number): number;
  close(row: number, nowUs: number): void;
  abort(row: number, nowUs: number): void;
  segmentArrives(row: number, slot: number, info: SegmentInfo, nowUs: number): void;
  segmentUnmatched(slot: number, info: SegmentInfo, nowUs: number): void;
  timerExpired(row: number, nowUs: number): void;
  flush(nowUs: number): void;
  pathMtuChanged(row: number, nowUs: number): void;
  icmpError(row: number, errno: number, isHard: boolean, quotedSeq: Seq, nowUs: number): void;
  readiness(row: number): number;
  takeError(row: number): number;
  info(row: number, nowUs: number): TcpInfo;
  setOption(row: number, option: number, value: number, nowUs: number): number;
  getOption(row: number, option: number): number;
  atMark(row: number): boolean;
}
