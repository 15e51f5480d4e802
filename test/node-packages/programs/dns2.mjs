// dns2: a UDP name server and its client under load.
import dns2 from "dns2";

const { Packet } = dns2;
const server = dns2.createServer({
  udp: true,
  handle: (request, send) => {
    const response = Packet.createResponseFromRequest(request);
    const [{ name }] = request.questions;
    response.answers.push({
      name,
      type: Packet.TYPE.A,
      class: Packet.CLASS.IN,
      ttl: 5,
      address: "192.0.2.7",
    });
    send(response);
  },
});
const addresses = await server.listen({ udp: { port: 0, address: "127.0.0.1", type: "udp4" } });
const resolve = dns2.UDPClient({ dns: "127.0.0.1", port: addresses.udp.port, socketType: "udp4" });
const first = await resolve("example.test", "A");
console.log(first.answers.map((a) => [a.name, a.address]));
let answered = 0;
for (let round = 0; round < 10; round++) {
  const all = await Promise.all(Array.from({ length: 50 }, (_, i) => resolve(`n${i}.test`, "A")));
  answered += all.filter((r, i) => r.answers[0].name === `n${i}.test`).length;
}
console.log(answered);
await server.close();
process.exit(0);
