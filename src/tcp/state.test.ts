import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Event,
  isSynchronized,
  mayReceive,
  maySend,
  next,
  STAY,
  State,
  stateName,
} from "./state.js";

const states = Object.values(State);
const events = Object.values(Event);
const name = (map: Record<string, number>, value: number): string =>
  Object.keys(map).find((key) => map[key] === value)!;

test("every state and event give a state or STAY", () => {
  for (const state of states) {
    for (const event of events) {
      const to = next(state, event);
      assert.ok(to === STAY || states.includes(to as never), `${state} ${event}`);
    }
  }
});

test("every state but FREE is reachable from CLOSED", () => {
  const seen = new Set<number>([State.CLOSED]);
  for (const state of seen) {
    for (const event of events) {
      const to = next(state, event);
      if (to !== STAY) seen.add(to);
    }
  }
  assert.deepEqual(
    [...seen].sort((a, b) => a - b),
    states.filter((s) => s !== State.FREE).sort((a, b) => a - b),
  );
});

test("from every state but FREE a connection can end", () => {
  for (const state of states) {
    if (state === State.FREE || state === State.CLOSED) continue;
    assert.equal(next(state, Event.ENDED), State.CLOSED, stateName(state));
  }
});

test("RFC 9293 §3.3.2 figure 5, arrow by arrow", () => {
  const arrows = [];
  for (const state of states) {
    for (const event of events) {
      const to = next(state, event);
      if (to === STAY || event === Event.ENDED) continue;
      arrows.push(`${stateName(state)} ${name(Event, event)} ${stateName(to)}`);
    }
  }
  assert.deepEqual(arrows.sort(), [
    "CLOSED CALL_CONNECT SYN_SENT",
    "CLOSED CALL_LISTEN LISTEN",
    "CLOSED RCV_ACK_OF_SYN ESTABLISHED",
    "CLOSED RCV_SYN SYN_RECEIVED",
    "CLOSE_WAIT CALL_CLOSE LAST_ACK",
    "CLOSING RCV_ACK_OF_FIN TIME_WAIT",
    "ESTABLISHED CALL_CLOSE FIN_WAIT_1",
    "ESTABLISHED RCV_FIN CLOSE_WAIT",
    "FIN_WAIT_1 RCV_ACK_OF_FIN FIN_WAIT_2",
    "FIN_WAIT_1 RCV_FIN CLOSING",
    "FIN_WAIT_2 RCV_FIN TIME_WAIT",
    "LAST_ACK RCV_ACK_OF_FIN CLOSED",
    "LISTEN CALL_CLOSE CLOSED",
    "SYN_RECEIVED CALL_CLOSE FIN_WAIT_1",
    "SYN_RECEIVED RCV_ACK_OF_SYN ESTABLISHED",
    "SYN_RECEIVED RCV_FIN CLOSE_WAIT",
    "SYN_SENT CALL_CLOSE CLOSED",
    "SYN_SENT RCV_SYN SYN_RECEIVED",
    "SYN_SENT RCV_SYN_ACK ESTABLISHED",
  ]);
});

test("who may send and receive text", () => {
  const having = (is: (s: number) => boolean): string[] => states.filter(is).map(stateName);
  assert.deepEqual(having(mayReceive), ["ESTABLISHED", "FIN_WAIT_1", "FIN_WAIT_2"]);
  assert.deepEqual(having(maySend), [
    "ESTABLISHED",
    "FIN_WAIT_1",
    "CLOSE_WAIT",
    "LAST_ACK",
    "CLOSING",
  ]);
  assert.deepEqual(
    having((s) => !isSynchronized(s)),
    ["FREE", "SYN_SENT", "SYN_RECEIVED", "CLOSED", "LISTEN"],
  );
});
