/** Netlink datagrams: messages and what rtnetlink says in them. The kernel writes them, but still. */
import { MessageReader } from "../../src/sys/netlink-message.js";
import * as rt from "../../src/sys/rtnetlink.js";
import { describeInPlaces, type Target } from "../target.js";

export const target: Target = {
  name: "netlink",
  summary: "rtnetlink messages: links, addresses, routes, neighbours",
  maxBytes: 2_048,
  run(input) {
    return describeInPlaces(input, (b, at, end) => {
      const out: string[] = [];
      const m = new MessageReader(b.subarray(at, end), end - at);
      while (m.step()) out.push(describe(m));
      return out.join("; ");
    });
  },
};

function describe(m: MessageReader): string {
  const { bytes, at, payloadEnd: end } = m;
  switch (m.type) {
    case rt.Rtm.NEW_LINK: {
      const link = rt.parseLink(bytes, at, end);
      return `link ${link === null ? "none" : `${link.name} ${link.mtuBytes} ${link.mac.length}`}`;
    }
    case rt.Rtm.NEW_ADDRESS: {
      const a = rt.parseAddress(bytes, at, end);
      return `address ${a === null ? "none" : `${a.address}/${a.prefixBits} ${a.flags}`}`;
    }
    case rt.Rtm.NEW_ROUTE: {
      const r = rt.parseRoute(bytes, at, end);
      return `route ${r === null ? "none" : `${r.destination} via ${r.gateway} from ${r.source} ${r.mtuBytes} ${r.errno}`}`;
    }
    case rt.Rtm.NEW_NEIGHBOUR: {
      const n = rt.parseNeighbour(bytes, at, end);
      return `neighbour ${n === null ? "none" : `${n.address} ${n.state} ${n.mac.length}`}`;
    }
    default:
      return `type ${m.type} errno ${m.errno}`;
  }
}
