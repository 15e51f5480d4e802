/**
 * How TCP connections between Linux and a Millrace host end: each half by itself, both at once, and
 * by reset. The link has a delay, so that what leaves both ends at once crosses.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { background, enterNamespace } from "../support/namespace.js";
import { HOST4, HOST6, LINUX4, LINUX6, tapHost } from "../support/tap-host.js";

await enterNamespace(import.meta.url, "ip", "python3", "tshark");

const PEER = fileURLToPath(new URL("../../../test/support/linux-tcp.py", import.meta.url));
const DELAY_US = 200_000;
const { host, close, recording } = tapHost({
  faults: { seed: 1, rx: { delayUs: DELAY_US }, tx: { delayUs: DELAY_US } },
});
after(close);

const peer = (mode: string, address: string, port: number) =>
  background("python3", PEER, mode, address, `${port}`);

for (const [family, address, linux] of [
  [4, HOST4, LINUX4],
  [6, HOST6, LINUX6],
] as const) {
  test(`Linux closes its half over IPv${family} and still hears the answer`, async () => {
    const server = await host.listen({ port: 20, allowHalfOpen: true });
    const client = peer("half-close", address, 20);
    const connection = (await server.accept())!;
    let question = "";
    connection.on("data", (chunk) => {
      question += chunk;
    });
    await once(connection, "end");
    connection.end("the answer");
    await once(connection, "close");
    assert.equal(await client.ended, 0, client.output);
    assert.deepEqual([question, client.output], ["question", "10\n"]);
    server.close();
  });

  test(`the host closes its half over IPv${family} and still hears the answer`, async () => {
    const port = 5020 + family;
    const server = peer("answer-after-end", linux, port);
    await server.waitFor(/ready/);
    const connection = await host.connect({ address: linux, port });
    connection.end("question");
    let answer = "";
    for await (const chunk of connection) answer += chunk;
    assert.equal(answer, "8 bytes heard");
    assert.equal(await server.ended, 0, server.output);
  });

  test(`both ends close at the same moment over IPv${family}: the FINs cross`, async () => {
    const port = 30 + family;
    const server = await host.listen({ port });
    const client = peer("close-on-command", address, port);
    const connection = (await server.accept())!;
    await client.waitFor(/ready/);
    client.write("close\n");
    await client.waitFor(/closed/); // its FIN is under way, and takes as long as the link
    connection.resume().end();
    await once(connection, "close");
    assert.equal(await client.ended, 0, client.output);
    assert.match(client.output, /end/);
    const first = (field: string, filter: string): number =>
      Number(recording.fieldOf(field, `tcp.flags.fin == 1 && ${filter}`)[0]);
    const [ours, theirs] = [`tcp.srcport == ${port}`, `tcp.dstport == ${port}`];
    assert.equal(first("tcp.ack", ours), first("tcp.seq", theirs), "ours did not know theirs");
    assert.equal(first("tcp.ack", theirs), first("tcp.seq", ours), "theirs did not know ours");
    server.close();
  });
}

test("a reset from Linux ends the connection with ECONNRESET", async () => {
  const server = await host.listen({ port: 8 });
  const client = peer("reset", HOST4, 8);
  const connection = (await server.accept())!;
  connection.on("data", (chunk: Uint8Array) => connection.write(chunk));
  const [error] = await once(connection, "error");
  assert.equal(error.code, "ECONNRESET");
  await client.ended;
  server.close();
});

test("a reset from the host reaches Linux as ECONNRESET", async () => {
  const server = await host.listen({ port: 9 });
  const client = peer("expect-reset", HOST4, 9);
  const connection = (await server.accept())!;
  connection.once("data", () => connection.resetAndDestroy());
  assert.equal(await client.ended, 0);
  assert.equal(client.output, "ECONNRESET\n");
  server.close();
});

test("closing the host resets its connections, quietly on this side", async () => {
  const server = await host.listen({ port: 13 });
  const client = peer("expect-reset", HOST4, 13);
  const connection = (await server.accept())!;
  await once(connection, "readable");
  const waiting = server.accept();
  const closed = once(connection, "close"); // rejects should there be an error
  host.close();
  await closed;
  assert.equal(await waiting, null);
  // The injector's delay swallows what leaves with the device: Linux need not hear of it.
  client.kill();
});
