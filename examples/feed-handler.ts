/**
 * A market-data feed handler on `millrace/poll`: messages come by multicast, are decoded where they
 * lie, and each change of the best bid is answered with an order, written in place.
 *
 *     npm run build && node dist/examples/feed-handler.js
 *
 * The exchange is in the same process, on the other end of a virtual link.
 */
import { createPool, simLink } from "../src/index.js";
import { openPoller } from "../src/node/poll.js";

/** A message of the feed: sequence number, price and quantity, four bytes each. */
const MESSAGE_BYTES = 12;
const MESSAGES = 10_000;
const GROUP = "239.1.1.1";
const FEED_PORT = 5_000;
const ORDER_PORT = 6_000;

const pool = createPool({ smallSlots: 4_096, bigSlots: 64 });
const cable = simLink({ pool });
const handler = openPoller({ device: cable.a, pool, addresses: ["10.0.0.2/24"] });
const exchange = openPoller({ device: cable.b, pool, addresses: ["10.0.0.1/24"] });

const words = new DataView(handler.memory.buffer);
const feed = handler.udp({ port: FEED_PORT }).join(GROUP);
const orders = handler.udp().connect("10.0.0.1", ORDER_PORT);
const orderEntry = exchange.udp({ port: ORDER_PORT });
const publisher = exchange.udp().connect(GROUP, FEED_PORT);

let expected = 0;
let lost = 0;
let bestBid = 0;
let ordered = 0;

/** Hot path. One message of the feed, at its place in memory. */
function decode(at: number): void {
  const sequence = words.getInt32(at);
  lost += sequence - expected;
  expected = sequence + 1;
  const price = words.getInt32(at + 4);
  if (price <= bestBid) return;
  bestBid = price;
  const order = orders.take();
  words.setInt32(order, sequence);
  words.setInt32(order + 4, price);
  orders.send(8);
}

let published = 0;
let entered = 0;
let price = 1_000;
while (entered < ordered || expected < MESSAGES) {
  for (let i = 0; i < 16 && published < MESSAGES; i++) {
    price += (published * 7_919) % 13 === 0 ? 1 : 0;
    const at = publisher.take();
    words.setInt32(at, published++);
    words.setInt32(at + 4, price);
    words.setInt32(at + 8, 100);
    publisher.send(MESSAGE_BYTES);
  }
  exchange.turn();
  handler.turn();
  for (let i = 0, n = feed.receive(); i < n; i++) {
    const before = bestBid;
    decode(feed.at[i]!);
    if (bestBid !== before) ordered++;
  }
  feed.release();
  handler.turn();
  exchange.turn();
  entered += orderEntry.receive();
  orderEntry.release();
}
console.log(`${expected} messages, ${lost} lost, best bid ${bestBid}, ${ordered} orders entered`);
handler.close();
exchange.close();
