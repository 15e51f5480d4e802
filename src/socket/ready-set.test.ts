import assert from "node:assert/strict";
import { test } from "node:test";
import { EEXIST, ENOENT } from "../base/errno.js";
import { Readiness } from "../tcp/readiness.js";
import { ReadyEvents, ReadySet, Watchable, WatchMode } from "./ready-set.js";

class FakeSocket extends Watchable {
  bits = 0;
  override readiness(): number {
    return this.bits;
  }
  become(bits: number): void {
    this.bits = bits;
    this.markChanged();
  }
  close(): void {
    this.forgetWatches();
  }
}

const { IN, OUT, ERR } = Readiness;

test("a level-mode socket is reported for as long as it is ready", () => {
  const set = new ReadySet();
  const out = new ReadyEvents();
  const socket = new FakeSocket();
  assert.equal(set.add(socket, IN), 0);
  assert.equal(set.take(out), 0);
  socket.become(IN | OUT);
  assert.equal(set.take(out), 1);
  assert.equal(out.sockets[0], socket);
  assert.equal(out.bits[0], IN);
  assert.equal(set.take(out), 1);
  socket.bits = 0;
  assert.equal(set.take(out), 0);
  assert.equal(set.hasCandidates, false);
});

test("an edge-mode socket is reported once for each change", () => {
  const set = new ReadySet();
  const out = new ReadyEvents();
  const socket = new FakeSocket();
  socket.bits = IN;
  set.add(socket, IN, WatchMode.EDGE);
  assert.equal(set.take(out), 1);
  assert.equal(set.take(out), 0);
  socket.become(IN);
  socket.become(IN);
  assert.equal(set.take(out), 1);
  assert.equal(set.take(out), 0);
});

test("a socket watched once is off after its report until modify", () => {
  const set = new ReadySet();
  const out = new ReadyEvents();
  const socket = new FakeSocket();
  socket.bits = IN;
  set.add(socket, IN, WatchMode.ONCE);
  assert.equal(set.take(out), 1);
  socket.become(IN);
  assert.equal(set.take(out), 0);
  assert.equal(set.modify(socket, IN, WatchMode.ONCE), 0);
  assert.equal(set.take(out), 1);
});

test("errors are of interest to everyone", () => {
  const set = new ReadySet();
  const out = new ReadyEvents();
  const socket = new FakeSocket();
  set.add(socket, 0);
  socket.become(ERR | IN);
  assert.equal(set.take(out), 1);
  assert.equal(out.bits[0], ERR);
});

test("ready sockets take turns when there is not room for all", () => {
  const set = new ReadySet();
  const out = new ReadyEvents(2);
  const sockets = [0, 1, 2].map(() => new FakeSocket());
  for (const s of sockets) {
    s.bits = IN;
    set.add(s, IN);
  }
  assert.equal(set.take(out), 2);
  assert.deepEqual(out.sockets, [sockets[0], sockets[1]]);
  assert.equal(set.take(out), 2);
  assert.deepEqual(out.sockets, [sockets[2], sockets[0]]);
});

test("a socket can be in several sets, and leaves them all when it closes", () => {
  const sets = [new ReadySet(), new ReadySet()];
  const out = new ReadyEvents();
  const socket = new FakeSocket();
  for (const set of sets) set.add(socket, IN);
  assert.equal(sets[0]!.add(socket, IN), -EEXIST);
  socket.become(IN);
  for (const set of sets) assert.equal(set.take(out), 1);
  socket.close();
  for (const set of sets) {
    assert.equal(set.size, 0);
    assert.equal(set.take(out), 0);
    assert.equal(set.remove(socket), -ENOENT);
  }
});

test("a socket that is removed and added again while queued is reported once", () => {
  const set = new ReadySet();
  const out = new ReadyEvents();
  const socket = new FakeSocket();
  socket.bits = IN;
  set.add(socket, IN);
  set.remove(socket);
  set.add(socket, IN);
  assert.equal(set.take(out), 1);
});
