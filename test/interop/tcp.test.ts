/** TCP between Linux programs and a Millrace host over TAP, in both roles, and how it ends. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { content } from "../support/content.js";
import { background, enterNamespace } from "../support/namespace.js";
import { runAsync, runWithInput } from "../support/run-async.js";
import { HOST4, HOST6, LINUX4, LINUX6, tapHost } from "../support/tap-host.js";

await enterNamespace(import.meta.url, "ip", "nc", "socat", "python3", "tshark");

const PEER = fileURLToPath(new URL("../../../test/support/linux-tcp.py", import.meta.url));
const { host, close } = tapHost();

const echo = await host.listen({ port: 7, allowHalfOpen: true });
after(() => echo.close());
void (async () => {
  for await (const connection of echo) {
    connection.on("error", () => {}); // the peer's resets are its own business
    connection.pipe(connection);
  }
})();

const linux = (mode: string, address: string, port: number, ...rest: string[]): Promise<string> =>
  runAsync("python3", PEER, mode, address, `${port}`, ...rest);

async function linuxServer(mode: string, address: string, port: number, ...rest: string[]) {
  const server = background("python3", PEER, mode, address, `${port}`, ...rest);
  await server.waitFor(/ready/);
  return server;
}

for (const [family, address] of [
  ["4", HOST4],
  ["6", HOST6],
] as const) {
  test(`nc over IPv${family} hears its line echoed`, async () => {
    const out = await runWithInput(
      "hello\n",
      "nc",
      `-${family}`,
      "-n",
      "-N",
      "-w",
      "60",
      address,
      "7",
    );
    assert.equal(out, "hello\n");
  });
  test(`socat over IPv${family} hears 1 MB echoed`, async () => {
    const data = "0123456789abcdef".repeat(65_536);
    const target = `TCP${family}:${family === "6" ? `[${address}]` : address}:7`;
    assert.equal(await runWithInput(data, "socat", "-t", "60", "-", target), data);
  });
}

for (const [family, address] of [
  ["4", LINUX4],
  ["6", LINUX6],
] as const) {
  test(`the host talks to nc as a server over IPv${family}`, async () => {
    const server = background("nc", `-${family}`, "-n", "-l", "-v", "-N", address, "5000");
    await server.waitFor(/Listening/);
    const connection = await host.connect({ address, port: 5000 });
    connection.end("from the host\n");
    server.write("from nc\n");
    server.write();
    let heard = "";
    for await (const chunk of connection) heard += chunk;
    assert.equal(heard, "from nc\n");
    await server.ended;
    assert.match(server.output, /from the host\n/);
  });
}

test("200 connections from Linux at once are each echoed", async () => {
  assert.equal(await linux("connect-many", HOST4, 7, "200"), "good 200\n");
});

test("200 connections to Linux at once are each echoed", async () => {
  const server = await linuxServer("echo-many", LINUX4, 5001, "200");
  const talk = async (i: number): Promise<boolean> => {
    const connection = await host.connect({ address: LINUX4, port: 5001 });
    connection.write(`connection ${i}\n`);
    const [data] = await once(connection, "data");
    connection.end();
    await once(connection, "close");
    return String(data) === `connection ${i}\n`;
  };
  const results = await Promise.all(Array.from({ length: 200 }, (_, i) => talk(i)));
  assert.equal(results.filter(Boolean).length, 200);
  await server.waitFor(/served 200/);
});

test("a connection to a closed port of Linux is refused", async () => {
  await assert.rejects(host.connect({ address: LINUX4, port: 1 }), {
    code: "ECONNREFUSED",
    syscall: "connect",
    address: LINUX4,
    port: 1,
  });
});

test("a connection from Linux to a closed port is refused", async () => {
  await assert.rejects(runAsync("nc", "-w", "60", HOST4, "81"));
});

test("Linux's zero window stops the host, and the transfer goes on when it opens", async () => {
  const server = await linuxServer("slow-reader", LINUX4, 5002);
  const connection = await host.connect({ address: LINUX4, port: 5002 });
  const digest = createHash("sha256");
  for (const block of content(3_000_000)) {
    digest.update(block);
    connection.write(block);
  }
  connection.end();
  await server.waitFor(/[0-9a-f]{64} \d+/);
  assert.match(server.output, new RegExp(`${digest.digest("hex")} 3000000`));
});

test("the host's zero window stops Linux, and the transfer goes on when it opens", async () => {
  const server = await host.listen({ port: 10 });
  const heard = (async () => {
    const connection = await server.accept();
    await sleep(2500); // nobody reads
    const digest = createHash("sha256");
    for await (const chunk of connection!) digest.update(chunk);
    return digest.digest("hex");
  })();
  const sent = await linux("source", HOST4, 10, "20000000");
  assert.equal(await heard, sent.split(" ")[0]);
  server.close();
});

after(close); // hooks run in order: sockets first, then the host
