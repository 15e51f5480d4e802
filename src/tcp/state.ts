/**
 * The TCP connection state machine, RFC 9293 §3.3.2 (figure 5) with what §3.10 adds in words, and
 * nothing else: no timers, no buffers, no output. `next` is pure, so the whole machine is tested
 * as a table.
 *
 * The numbers are Linux's (TCP_INFO shows them); 0 marks a row that is in no use.
 */
export const State = {
  FREE: 0,
  ESTABLISHED: 1,
  SYN_SENT: 2,
  SYN_RECEIVED: 3,
  FIN_WAIT_1: 4,
  FIN_WAIT_2: 5,
  TIME_WAIT: 6,
  CLOSED: 7,
  CLOSE_WAIT: 8,
  LAST_ACK: 9,
  LISTEN: 10,
  CLOSING: 11,
} as const;

export const Event = {
  CALL_LISTEN: 0,
  CALL_CONNECT: 1,
  /** The sending side ends: `shutdown` for writing, or `close`. */
  CALL_CLOSE: 2,
  RCV_SYN: 3,
  RCV_SYN_ACK: 4,
  RCV_ACK_OF_SYN: 5,
  RCV_FIN: 6,
  RCV_ACK_OF_FIN: 7,
  /** RST, an abort, a timeout, the end of TIME-WAIT. */
  ENDED: 8,
} as const;

const STATES = 12;
const EVENTS = 9;

/** There is no arrow: the event does not change the state. */
export const STAY = -1;

const table = new Int8Array(STATES * EVENTS).fill(STAY);

function on(from: number, event: number, to: number): void {
  table[from * EVENTS + event] = to;
}

on(State.CLOSED, Event.CALL_LISTEN, State.LISTEN);
on(State.CLOSED, Event.CALL_CONNECT, State.SYN_SENT);
// A SYN to a listener makes a row of its own, which starts as CLOSED.
on(State.CLOSED, Event.RCV_SYN, State.SYN_RECEIVED);
// An ACK with a valid SYN cookie (RFC 4987 §3.6) does the whole handshake at once.
on(State.CLOSED, Event.RCV_ACK_OF_SYN, State.ESTABLISHED);
on(State.LISTEN, Event.CALL_CLOSE, State.CLOSED);
on(State.SYN_SENT, Event.CALL_CLOSE, State.CLOSED);
on(State.SYN_SENT, Event.RCV_SYN_ACK, State.ESTABLISHED);
on(State.SYN_SENT, Event.RCV_SYN, State.SYN_RECEIVED); // simultaneous open, MUST-10
on(State.SYN_RECEIVED, Event.RCV_ACK_OF_SYN, State.ESTABLISHED);
on(State.SYN_RECEIVED, Event.CALL_CLOSE, State.FIN_WAIT_1);
on(State.SYN_RECEIVED, Event.RCV_FIN, State.CLOSE_WAIT); // §3.10.7.4 eighth step, not in the figure
on(State.ESTABLISHED, Event.CALL_CLOSE, State.FIN_WAIT_1);
on(State.ESTABLISHED, Event.RCV_FIN, State.CLOSE_WAIT);
on(State.FIN_WAIT_1, Event.RCV_ACK_OF_FIN, State.FIN_WAIT_2);
on(State.FIN_WAIT_1, Event.RCV_FIN, State.CLOSING); // simultaneous close
on(State.FIN_WAIT_2, Event.RCV_FIN, State.TIME_WAIT);
on(State.CLOSE_WAIT, Event.CALL_CLOSE, State.LAST_ACK);
on(State.CLOSING, Event.RCV_ACK_OF_FIN, State.TIME_WAIT);
on(State.LAST_ACK, Event.RCV_ACK_OF_FIN, State.CLOSED);
for (let from: number = State.ESTABLISHED; from < STATES; from++) {
  if (from !== State.CLOSED) on(from, Event.ENDED, State.CLOSED);
}

/** Hot path. The state after `event`, or {@link STAY} when the figure has no arrow. */
export function next(from: number, event: number): number {
  return table[from * EVENTS + event]!;
}

const NAMES = Object.entries(State);

/** Name of a state, for people. */
export function stateName(state: number): string {
  return NAMES.find(([, value]) => value === state)?.[0] ?? `state ${state}`;
}

const bit = (...states: number[]): number => states.reduce((mask, s) => mask | (1 << s), 0);

/** Both sequence spaces are known: RFC 9293's synchronized states. */
const SYNCHRONIZED = bit(1, 4, 5, 6, 8, 9, 11);
/** The peer may still send text. */
const RECEIVING = bit(State.ESTABLISHED, State.FIN_WAIT_1, State.FIN_WAIT_2);
/** Text may be sent, or FIN may have to be sent again. */
const SENDING = bit(
  State.ESTABLISHED,
  State.CLOSE_WAIT,
  State.FIN_WAIT_1,
  State.CLOSING,
  State.LAST_ACK,
);

/** Hot path. */
export const isSynchronized = (state: number): boolean => ((SYNCHRONIZED >> state) & 1) !== 0;
/** Hot path. */
export const mayReceive = (state: number): boolean => ((RECEIVING >> state) & 1) !== 0;
/** Hot path. */
export const maySend = (state: number): boolean => ((SENDING >> state) & 1) !== 0;
