/**
 * A process that holds a steering program on an interface, to be killed: `INTERFACE SINK CLAIM…`. A
 * claim is `flow:PROTOCOL:LOCAL:PORT:REMOTE:PORT` or `port:PROTOCOL:LOCAL:PORT`, `/` in the place of
 * the addresses' colons. What is claimed goes out at SINK. Says `ready`; then, for every line that it
 * reads, the counters as JSON.
 */
import { createInterface } from "node:readline";
import { IpAddress } from "../../src/base/ip-address.js";
import { createSteeringCounters, readSteeringCounters } from "../../src/nic/steering-counters.js";
import { SteeringFilter } from "../../src/nic/steering-filter.js";
import { steeringProgram } from "../../src/nic/steering-program.js";
import { attachCode } from "../../src/nic/xdp-attach.js";
import { linkSteering } from "../../src/nic/xdp-program.js";
import { BpfMap, MapType } from "../../src/sys/bpf-map.js";
import { interfaceIndex } from "../../src/sys/xdp-link.js";

const [shared, sink, ...claims] = process.argv.slice(2) as [string, string, ...string[]];
const word = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);

// A device in the place of the sockets: what was taken can be seen from outside.
const type = MapType.DEVMAP;
const target = BpfMap.create({ type, keyBytes: 4, valueBytes: 4, maxEntries: 1, name: "mr_sink" });
target.update(word(0), word(interfaceIndex(sink)));

const filter = new SteeringFilter();
for (const claim of claims) claimOne(claim);
const code = linkSteering(steeringProgram(), filter, target);
attachCode({ interface: shared, mode: "generic" }, code, "millrace_steer");
console.log("ready");

const counters = createSteeringCounters();
createInterface({ input: process.stdin }).on("line", () => {
  readSteeringCounters(filter.counters, counters);
  console.log(JSON.stringify(counters.snapshot()));
});

function claimOne(claim: string): void {
  const [kind, protocol, local, port, remote, remotePort] = claim.split(":") as string[];
  const parse = (text: string | undefined): IpAddress =>
    IpAddress.parse(text!.replaceAll("/", ":"));
  const result =
    kind === "flow"
      ? filter.addFlow(
          Number(protocol),
          parse(local),
          Number(port),
          parse(remote),
          Number(remotePort),
        )
      : filter.addPort(Number(protocol), parse(local), Number(port));
  if (result < 0) throw new Error(`${claim}: ${result}`);
}
