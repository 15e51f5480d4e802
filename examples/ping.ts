/** ping(8) from a Millrace host. */
import { numberOf, tapArguments } from "./tap-host.js";

const args = tapArguments(
  `usage: ping [options] ADDRESS
Sends ICMP or ICMPv6 echo requests from a Millrace host on a TAP interface.
  --count N           requests to send (default: 4)
  --bytes N           bytes of data in each (default: 56)
  --interval MS       from one request to the next (default: 1000)
  --timeout MS        how long to wait for a reply (default: 1000)`,
  {
    count: { type: "string", default: "4" },
    bytes: { type: "string", default: "56" },
    interval: { type: "string", default: "1000" },
    timeout: { type: "string", default: "1000" },
  },
);

const { host } = args;
const address = args.positionals[0];
if (address === undefined) {
  console.error("expected an address to ping; see --help");
  process.exit(2);
}
const { sent, replies, errors } = await host.ping(address, {
  count: numberOf(args, "count"),
  bytes: numberOf(args, "bytes"),
  intervalMs: numberOf(args, "interval"),
  timeoutMs: numberOf(args, "timeout"),
});
for (const r of replies) {
  const time = r.roundTripMs.toFixed(3);
  console.log(`${r.bytes} bytes from ${r.address}: seq=${r.sequence} ttl=${r.ttl} time=${time} ms`);
}
for (const code of errors) console.log(`error: ${code}`);
console.log(`${sent} sent, ${replies.length} received`);
host.close();
process.exitCode = replies.length > 0 ? 0 : 1;
