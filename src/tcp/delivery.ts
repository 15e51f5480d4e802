/**
 * What one ACK delivered: collected while its records are acknowledged or SACKed, then read by RTT
 * estimation, RACK, undo and congestion control. One object is reused for all ACKs.
 */

export class Delivery {
  /** No time yet. */
  static readonly NONE = -1;

  /** Bytes by which SND.UNA advances. */
  ackedBytes = 0;
  /** Bytes that arrived by what this ACK says, in order or not, each counted once. */
  deliveredBytes = 0;
  /** Bytes that this ACK SACKs for the first time. */
  sackedBytes = 0;
  /** Bytes deemed lost since this ACK arrived. */
  lostBytes = 0;
  /** A retransmission was deemed lost. */
  lostRetransmission = false;
  /** Bytes that a DSACK block reported twice delivered (RFC 2883). */
  dsackBytes = 0;
  /** That was the tail loss probe. */
  dsackOfProbe = false;
  /** Transmission times of the first and last acknowledged records that were sent once only. */
  firstXmitUs = -1.5;
  lastXmitUs = -1.5;
  /** The same of the first SACKed record. */
  firstSackXmitUs = -1.5;
  /** Something that was sent again was acknowledged: no RTT sample (Karn). */
  retransmissionAcked = false;
  /** Something sent once only, before RecoveryPoint, was delivered: not all was lost (F-RTO). */
  originalDelivered = false;
  /** RACK.xmit_ts may have moved: losses must be looked for. */
  rackAdvanced = false;

  clear(): this {
    this.ackedBytes = 0;
    this.deliveredBytes = 0;
    this.sackedBytes = 0;
    this.lostBytes = 0;
    this.lostRetransmission = false;
    this.dsackBytes = 0;
    this.dsackOfProbe = false;
    this.firstXmitUs = Delivery.NONE;
    this.lastXmitUs = Delivery.NONE;
    this.firstSackXmitUs = Delivery.NONE;
    this.retransmissionAcked = false;
    this.originalDelivered = false;
    this.rackAdvanced = false;
    return this;
  }
}
