/** Urgent data between Linux and a Millrace host: out of band and inline, both ways. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { EAGAIN, EINVAL } from "../../src/base/errno.js";
import { MsgFlags } from "../../src/socket/linux-options.js";
import type { TcpConnection } from "../../src/socket/tcp-connection.js";
import type { TcpSocket } from "../../src/socket/tcp-socket.js";
import { Readiness } from "../../src/tcp/readiness.js";
import { background, enterNamespace } from "../support/namespace.js";
import { HOST4, LINUX4, tapHost } from "../support/tap-host.js";
import { until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "python3", "tshark");

const PEER = fileURLToPath(new URL("../../../test/support/linux-tcp.py", import.meta.url));
const { host, close } = tapHost();
after(close);

const peer = (mode: string, address: string, port: number) =>
  background("python3", PEER, mode, address, `${port}`);

/** One read; what it gave as text, or the negated error number. */
function read(socket: TcpSocket, flags = 0): string | number {
  const into = Buffer.alloc(100);
  const n = socket.receive(into, 0, into.length, flags);
  host.kick();
  return n < 0 ? n : into.toString("latin1", 0, n);
}

const isUrgent = (socket: TcpSocket): boolean => (socket.readiness() & Readiness.PRI) !== 0;

/** A connection on which Linux sends `abc`, then `!` as urgent, then `def`. */
async function fromLinux(port: number, isInline: boolean): Promise<TcpConnection> {
  const server = await host.listen({ port });
  if (isInline) server.socket.set("SO_OOBINLINE", 1);
  const client = peer("urgent-send", HOST4, port);
  const connection = (await server.accept())!;
  server.close();
  await client.waitFor(/sent/);
  const { socket } = connection;
  await until(() => isUrgent(socket) && socket.readableBytes >= 6, "everything");
  return connection;
}

test("urgent data from Linux are read with MSG_OOB, and are not in the stream", async () => {
  const connection = await fromLinux(11, false);
  const { socket } = connection;
  assert.equal(read(socket, MsgFlags.OOB | MsgFlags.PEEK), "!");
  assert.equal(read(socket, MsgFlags.OOB), "!");
  assert.equal(read(socket, MsgFlags.OOB), -EINVAL, "once only");
  assert.equal(isUrgent(socket), false);
  assert.deepEqual([read(socket), socket.isAtMark], ["abc", true], "a read ends at the mark");
  assert.deepEqual([read(socket), socket.isAtMark], ["def", false]);
  connection.destroy();
});

test("with SO_OOBINLINE urgent data from Linux are in the stream, behind the mark", async () => {
  const connection = await fromLinux(12, true);
  const { socket } = connection;
  assert.equal(read(socket, MsgFlags.OOB), -EINVAL);
  assert.deepEqual([read(socket), socket.isAtMark], ["abc", true]);
  assert.deepEqual([read(socket), socket.isAtMark], ["!def", false]);
  assert.equal(read(socket), -EAGAIN);
  connection.destroy();
});

/** A connection on which the host sends `abc`, then `!` as urgent, then `def`; what Linux saw. */
async function toLinux(mode: string, port: number): Promise<string> {
  const server = peer(mode, LINUX4, port);
  await server.waitFor(/ready/);
  const connection = await host.connect({ address: LINUX4, port });
  connection.write("abc");
  await sleep(100);
  host.enter();
  assert.equal(connection.socket.send(Buffer.from("!"), 0, 1, MsgFlags.OOB), 1);
  host.kick();
  await sleep(100);
  connection.end("def");
  assert.equal(await server.ended, 0, server.output);
  return server.output;
}

test("urgent data from the host are read out of band by Linux", async () => {
  assert.equal(await toLinux("urgent-receive", 5003), "ready\n! abcdef\n");
});

test("urgent data from the host are read inline by Linux, behind the mark", async () => {
  assert.equal(await toLinux("urgent-inline", 5004), "ready\nabc|!def\n");
});
