/**
 * The headers of a short IPv4 packet, written where its device sends from (`nic/lane.ts`): Ethernet and IP
 * in one function, for a packet to one known neighbour, with default settings. The caller then writes its
 * transport header and payload behind them, and sends. What is not so simple goes through `Output.send`
 * and `Output.link`, which do the same in their steps.
 */
import { fold } from "../base/checksum.js";
import type { Lane } from "../nic/lane.js";
import * as ethernet from "../wire/ethernet.js";
import * as ipv4 from "../wire/ipv4.js";
import type { Ip } from "./ip.js";
import { NeighbourState } from "./neighbour.js";
import { type Path, PathKind } from "./path.js";

const { PERMANENT, REACHABLE } = NeighbourState;
const { UNICAST } = PathKind;
const IP_BYTES: number = ipv4.HEADER_BYTES;
const ETHERNET_BYTES: number = ethernet.HEADER_BYTES;
const TYPE_IPV4: number = ethernet.TYPE_IPV4;
const VERSION = 0x4500;
const DF = 0x4000;
const DEFAULT_TTL = 64;
/** Where the transport header begins in the frame. */
const L4_AT: number = ETHERNET_BYTES + IP_BYTES;

export class PlacedOutput {
  private readonly ip: Ip;
  private readonly view: DataView;
  private lane: Lane | null = null;

  constructor(ip: Ip) {
    this.ip = ip;
    this.view = ip.view;
  }

  /**
   * Hot path. Offset in the arena for a transport packet of so many bytes, a multiple of 4, or -1 when it
   * has to go through `Ip.send`. {@link send} must follow before anything else is sent.
   */
  place(path: Path, protocol: number, bytes: number): number {
    const { iface, neighbour } = path;
    const { lane } = iface;
    const totalBytes = (bytes + IP_BYTES) | 0;
    const isPlain =
      lane !== null &&
      path.isV4 &&
      path.kind === UNICAST &&
      totalBytes <= path.mtuBytes &&
      (neighbour.state === PERMANENT ||
        (neighbour.state === REACHABLE && this.ip.nowUs < neighbour.reachableUntilUs));
    if (!isPlain) return -1;
    const at = lane.place((totalBytes + ETHERNET_BYTES) | 0);
    if (at < 0) return -1;
    this.lane = lane;
    const { view } = this;
    view.setInt32(at, (neighbour.macHigh << 16) | (neighbour.macLow >>> 16));
    view.setInt32(at + 4, (neighbour.macLow << 16) | iface.macHigh);
    view.setInt32(at + 8, iface.macLow);
    view.setInt16(at + 12, TYPE_IPV4);
    const ipAt = at + ETHERNET_BYTES;
    const id = path.nextId;
    path.nextId = (id + 1) & 0xffff;
    const ttlAndProtocol = (DEFAULT_TTL << 8) | protocol;
    const sum = VERSION + totalBytes + id + DF + ttlAndProtocol + path.pseudoSum;
    view.setInt32(ipAt, (VERSION << 16) | totalBytes);
    view.setInt32(ipAt + 4, (id << 16) | DF);
    view.setInt32(ipAt + 8, (ttlAndProtocol << 16) | (~fold(sum) & 0xffff));
    view.setInt32(ipAt + 12, path.src.w3);
    view.setInt32(ipAt + 16, path.dst.w3);
    return ipAt + IP_BYTES;
  }

  /** Hot path. Sends the packet that was placed; the checksum field is at `csumOffset` of it, unmade. */
  send(csumOffset: number): void {
    this.lane!.sendPlaced(L4_AT, csumOffset);
  }
}
