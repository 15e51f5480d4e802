/** Ends that are used again, from a program's side: for tests. */
import {
  ACCEPTED_BYTES,
  AcceptedAt,
  CALLS_AT,
  CallAt,
  Kind,
  Op,
  OpenedFor,
  SocketAt,
} from "../ring/engine-layout.js";
import { Family } from "../socket/linux-options.js";
import type { TestClient } from "./test-client-fixture.js";
import { openRequest } from "./test-open-fixture.js";
import { TestSocket } from "./test-socket-fixture.js";

/** An end that the engine keeps for the next connection. */
export interface TestParked {
  readonly result: number;
  readonly local: number;
  readonly endFd: number;
  /** Of the block that came with it. */
  readonly regionId: number;
  readonly headerAt: number;
}

/** MR_OP_PARK. */
export function park(client: TestClient, s: TestSocket, connects: boolean): TestParked {
  const { result } = client.call(Op.PARK, s.local, [connects ? 1 : 0]);
  const at = CALLS_AT + CallAt.args;
  const { local, endFd } = s;
  const regionId = client.view.getUint32(at + 4, true);
  return { result, local, endFd, regionId, headerAt: client.view.getUint32(at + 8, true) };
}

/** The message of MR_OP_OPEN. */
export function connectMessage(local: number, peer: string, peerPort: number, family: number) {
  return openRequest({ kind: Kind.TCP, at: OpenedFor.CONNECT, family, peer, peerPort }, local, -1);
}

/** MR_OP_OPEN: connects. */
export function openParked(
  client: TestClient,
  parked: TestParked,
  peer: string,
  port: number,
  family: number = Family.INET,
): TestSocket {
  const { local, endFd, regionId, headerAt } = parked;
  const message = connectMessage(local, peer, port, family);
  const { result } = client.call(Op.OPEN, local, [], message);
  const mapped = client.regions.get(regionId)?.mapped ?? null;
  return new TestSocket(client, local, endFd, family, mapped, headerAt, result, "");
}

/** MR_OP_CLAIM: a connection out of a listener's ring; null when there is none. `waits`: for the answer. */
export function claimParked(
  client: TestClient,
  listener: TestSocket,
  parked: TestParked,
  waits = true,
): TestSocket | null {
  const { words, view } = listener;
  const head = listener.rxHead;
  if (Atomics.load(words, listener.at(SocketAt.rxTail)) === head) return null;
  const at = listener.rxAt + (head & (listener.rxBytes - 1));
  const connection = view.getUint32(at + AcceptedAt.connection, true);
  const { mapped } = client.regions.get(view.getUint32(at + AcceptedAt.regionId, true))!;
  const headerAt = view.getUint32(at + AcceptedAt.headerAt, true);
  listener.setHead((head + ACCEPTED_BYTES) | 0);
  const { local, endFd } = parked;
  const args = [connection, endFd];
  if (!waits) client.startCall(1, Op.CLAIM, local, args);
  const result = waits ? client.call(Op.CLAIM, local, args).result : 0;
  return new TestSocket(client, local, endFd, listener.family, mapped, headerAt, result, "");
}
