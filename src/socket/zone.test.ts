/** IPv6 link-local addresses with zones (RFC 4007 §11), as programs write and read them. */
import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { createHost } from "./create-host.js";
import { simLink } from "./devices.js";
import { Runner } from "./runner.js";

const TEST = { timeout: 120_000 };

/** Host `a` has two links with the same prefix; only the zone says which. */
function world(t: TestContext) {
  const one = simLink();
  const two = simLink();
  const runner = new Runner();
  const a = createHost({
    runner,
    interfaces: [
      { device: one.a, name: "one" },
      { device: two.a, name: "two" },
    ],
  });
  const b = createHost({ runner, interfaces: [{ device: two.b, name: "wire" }] });
  t.after(() => {
    a.close();
    b.close();
  });
  const text = b.stack.interfaceByName("wire")!.linkLocal6()!.address.toString();
  return { a, b, text };
}

test("a connection goes out on the interface that the zone names", TEST, async (t) => {
  const { a, b, text } = world(t);
  const server = await b.listen({ port: 80 });
  const byName = await a.connect({ address: `${text}%two`, port: 80 });
  byName.destroy();
  const { index } = a.stack.interfaceByName("two")!;
  const byNumber = await a.connect({ address: `${text}%${index}`, port: 80 });
  byNumber.destroy();
  server.close();
});

test(
  "a datagram from a link-local address can be answered with what `address` says",
  TEST,
  async (t) => {
    const { a, b, text } = world(t);
    const echo = await b.udp({ port: 7, address: `${text}%wire` });
    const channel = await a.udp();
    await channel.send("ping", { address: `${text}%two`, port: 7 });
    const asked = await echo.receive();
    assert.match(asked!.address, /^fe80::.*%wire$/);
    await echo.send("pong", asked!);
    const answer = await channel.receive();
    assert.equal(answer!.address, `${text}%two`);
    assert.equal(answer!.data.toString(), "pong");
  },
);

test("a zone that is no interface is refused by name", TEST, async (t) => {
  const { a, text } = world(t);
  for (const zone of ["nowhere", "99", "", "1e1"]) {
    await assert.rejects(a.connect({ address: `${text}%${zone}`, port: 80 }), {
      code: "ENODEV",
      message: new RegExp(`the host has no interface ${zone}`),
    });
  }
  await assert.rejects(a.connect({ address: "nonsense%one", port: 80 }), { code: "EINVAL" });
});

test("a host reaches itself at a link-local address", TEST, async (t) => {
  const { b, text } = world(t);
  const address = `${text}%wire`;
  const server = await b.listen({ port: 81, address });
  const connection = await b.connect({ address, port: 81 });
  connection.destroy();
  server.close();
  const echo = await b.udp({ port: 8, address });
  const channel = await b.udp();
  await channel.send("ping", { address, port: 8 });
  assert.equal((await echo.receive())!.data.toString(), "ping");
});
