/** Sockets of programs, ready to be used: for tests and fuzzing. */
import assert from "node:assert/strict";
import { Kind, Op, OpenedFor, Status } from "../ring/engine-layout.js";
import type { EngineRig } from "./engine-fixture.js";
import type { TestClient } from "./test-client-fixture.js";
import type { TestSocket } from "./test-socket-fixture.js";

/** The machine's address. */
export const HOST = "10.77.0.1";

/** A UDP socket at the wildcard. */
export function bindUdp(client: TestClient, port: number): TestSocket {
  return client.open({ kind: Kind.UDP, at: OpenedFor.BIND, own: "0.0.0.0", ownPort: port });
}

/** A listener at the wildcard; `result` says whether it could be opened. */
export function listenTcp(
  client: TestClient,
  port: number,
  { backlog = 16, reusePort = false } = {},
): TestSocket {
  const listener = client.open({
    kind: Kind.TCP,
    at: OpenedFor.LISTEN,
    own: "0.0.0.0",
    ownPort: port,
    options: reusePort ? [[1, 15, 1]] : [],
  });
  if (listener.result === 0) assert.equal(listener.call(Op.LISTEN, [backlog]).result, 0);
  return listener;
}

/** A connection that is under way. */
export function connectTcp(client: TestClient, port: number, address = HOST): TestSocket {
  const a = client.open({
    kind: Kind.TCP,
    at: OpenedFor.CONNECT,
    peer: address,
    peerPort: port,
  });
  a.callWith(Op.CONNECT, address, port);
  return a;
}

/** The next connection of a listener. */
export function acceptTcp(rig: EngineRig, client: TestClient, listener: TestSocket): TestSocket {
  let b: TestSocket | null = null;
  rig.until(() => {
    b ??= client.accept(listener);
    return b !== null;
  }, "a connection");
  return b!;
}

/** Both ends of a connection to a listener. */
export function connectedPair(
  rig: EngineRig,
  client: TestClient,
  server: TestClient,
  listener: TestSocket,
  port: number,
): { a: TestSocket; b: TestSocket } {
  const a = connectTcp(client, port);
  const b = acceptTcp(rig, server, listener);
  rig.until(() => (a.status & Status.CONNECTED) !== 0, "the connection");
  return { a, b };
}
