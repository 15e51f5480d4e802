/**
 * What TCP asks of the host it runs in: sending, demultiplexing, timers, readiness. Implemented by
 * `socket/tcp-host.ts` in the product and by small fakes in unit tests and the simulator. Nothing
 * here may call back into TCP.
 *
 * A host hears of a connection by its row number. Where a method says "selected", the view that it
 * is given points at the row; it must not be re-selected or kept.
 */
import type { IpAddress } from "../base/ip-address.js";
import type { Tcb } from "./tcb.js";

export interface TcpHost {
  /**
   * Hot path. Sends a segment of the selected connection; takes the slot. `at[slot]` is the TCP
   * header, `end[slot]` the end of the payload; the checksum field holds the folded pseudo-header
   * sum and the frame is marked CHECKSUM_PARTIAL; larger payloads than `sndMss` are marked GSO.
   * A frame that cannot go out now (no route, queue full) is lost, as on a wire; the host counts it.
   */
  transmit(c: Tcb, slot: number): void;

  /**
   * Hot path. Where the selected connection's next segment, of `bytes` with its TCP header, may be written
   * and sent from without a slot: an offset in the arena, a multiple of 4; or -1. {@link sendPlaced} must
   * follow before anything else is sent.
   */
  place(c: Tcb, bytes: number): number;
  /** Hot path. Sends that segment at once: as {@link transmit}, the checksum unmade. */
  sendPlaced(): void;

  /**
   * Sends a segment that belongs to no row (RST, SYN cookie's SYN-ACK, TIME-WAIT's ACK), from
   * `local` to `remote`; takes the slot. Addresses are borrowed. `ifIndex` is where the segment came
   * from that it answers: the scope of a link-local address.
   */
  transmitUnbound(
    local: IpAddress,
    remote: IpAddress,
    ifIndex: number,
    slot: number,
    tos: number,
  ): void;

  /**
   * Makes the row reachable by its 4-tuple; false when the tuple is in use. `ifIndex` is where the
   * peer's segment came from, 0 for a connection of our own.
   */
  bindFlow(c: Tcb, ifIndex: number): boolean;
  /**
   * The row that listens where a segment from `remote` to `local` came in, or -1. `ports`: the local port in
   * the upper half, the remote one in the lower.
   */
  findListener(local: IpAddress, remote: IpAddress, ports: number, ifIndex: number): number;
  /** The row is no longer reachable by its 4-tuple. */
  unbindFlow(c: Tcb): void;

  /** Hot path. Calls `Tcp.timerExpired(row)` not before `atUs`; one timer a row, the last call wins. */
  armTimer(row: number, atUs: number): void;
  disarmTimer(row: number): void;

  /** Hot path. The socket of this row may have new readiness (`Readiness`, tcp/readiness.ts). */
  changed(c: Tcb): void;

  /** The row is free again: nothing refers to it any more. */
  released(row: number): void;

  /**
   * Bytes of the largest segment (TCP header and payload) that the path of the selected connection
   * carries now: path MTU less the IP header. Also (re)resolves `c.path`; 0 when there is no route.
   */
  segmentLimitBytes(c: Tcb): number;
  /** Largest TCP payload that the device takes in one GSO frame; 0 when it splits nothing. */
  gsoLimitBytes(c: Tcb): number;

  /**
   * Hot path. Whether the device below the path only reads a frame's payload, and forgets it once it
   * gives the slot back: then a frame may share its slot with the send queue.
   */
  borrowsFrames(c: Tcb): boolean;

  /**
   * Hot path. Copies a long part of what is sent into a big slot at `to`, if there is a better way than
   * the plain one for the device below the path; false, with nothing done, when there is none.
   */
  fill(c: Tcb, to: number, from: Uint8Array, at: number, n: number): boolean;

  /** Forward progress: the neighbour is reachable (RFC 4861 §7.3.1). */
  confirmReachable(c: Tcb): void;
  /** Repeated loss: asks for another route or a fresh neighbour resolution. */
  adviseLoss(c: Tcb): void;
}
