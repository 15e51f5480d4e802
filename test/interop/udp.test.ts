/** Datagrams between Linux programs and a Millrace host over TAP, in both roles. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { background, enterNamespace, run } from "../support/namespace.js";
import { HOST4, HOST6, LINUX4, LINUX6, tapHost } from "../support/tap-host.js";
import { PATIENCE_MS, until } from "../support/until.js";

await enterNamespace(import.meta.url, "ip", "nc", "socat", "ss", "tshark");

const { host, close } = tapHost();

const echo = await host.udp({ port: 7 });
after(() => echo.close());
void (async () => {
  for await (const m of echo) await echo.send(m.data, { address: m.address, port: m.port });
})();

for (const [family, address] of [
  ["4", HOST4],
  ["6", HOST6],
] as const) {
  test(`nc over IPv${family} hears its datagram echoed`, async () => {
    const nc = background("nc", `-${family}`, "-u", address, "7");
    nc.write("hello\n");
    await nc.waitFor(/^hello\n$/);
    await nc.stop();
  });
  test(`socat over IPv${family} hears 20,000 bytes echoed, in fragments`, async () => {
    const data = "0123456789".repeat(2000);
    const target = `UDP${family}:${family === "6" ? `[${address}]` : address}:7`;
    const socat = background("socat", "-b", "65000", "-", target);
    socat.write(data);
    await until(() => socat.output.length >= data.length, "the echo");
    assert.equal(socat.output, data);
    await socat.stop();
  });
}

for (const [family, address] of [
  ["4", LINUX4],
  ["6", LINUX6],
] as const) {
  test(`the host talks to a socat server over IPv${family}`, async () => {
    const port = family === "4" ? 5004 : 5006;
    const listen = `UDP${family}-RECVFROM:${port},fork`;
    const server = background("socat", "-d", "-d", listen, "EXEC:cat");
    await until(() => run("ss", "-Hlun", `sport = :${port}`) !== "", `a server on port ${port}`);
    const channel = await host.udp();
    for (const size of [1, 64, 1400, 4000]) {
      const data = new Uint8Array(size).fill(size & 255);
      await channel.send(data, { address, port });
      const answer = await channel.receive({ signal: AbortSignal.timeout(PATIENCE_MS) });
      assert.deepEqual(Buffer.from(answer!.data), Buffer.from(data));
    }
    channel.close();
    await server.stop();
  });
}

test("a datagram to a closed port of Linux is refused to the connected sender", async () => {
  const channel = await host.udp();
  channel.connect(LINUX4, 9);
  await channel.send("anyone?");
  await assert.rejects(channel.receive({ signal: AbortSignal.timeout(PATIENCE_MS) }), {
    code: "ECONNREFUSED",
  });
  channel.close();
});

after(close); // hooks run in order: sockets first, then the host
