/** Sends every UDP datagram back to where it came from. */
import { numberOf, tapArguments } from "./tap-host.js";

const args = tapArguments(
  `usage: udp-echo [options]
Echoes UDP datagrams from a Millrace host on a TAP interface.
  --port PORT         port to listen on (default: 7)
  --group ADDRESS     multicast group to join`,
  { port: { type: "string", default: "7" }, group: { type: "string" } },
);

const channel = await args.host.udp({ port: numberOf(args, "port") });
const group = args.values.group as string | undefined;
if (group !== undefined) channel.join(group);
console.log(`listening on port ${channel.address().port}`);
process.once("SIGINT", () => process.exit(0));
process.once("SIGTERM", () => process.exit(0));
for await (const message of channel) await channel.send(message.data, message);
