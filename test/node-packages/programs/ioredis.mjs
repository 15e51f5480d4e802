// ioredis and a real redis-server, at the address and port that are given.
import Redis from "ioredis";

const [host, port] = process.argv.slice(2);
const redis = new Redis({ host, port: Number(port) });
console.log(await redis.ping(), await redis.set("key", "value"), await redis.get("key"));
const large = Buffer.alloc(3_000_000, "r");
await redis.set("large", large);
console.log((await redis.getBuffer("large")).equals(large));
const results = await redis
  .pipeline(Array.from({ length: 1_000 }, (_, i) => ["incrby", "n", i]))
  .exec();
console.log(results.length, results.at(-1)[1]);
const subscriber = redis.duplicate();
await subscriber.subscribe("channel");
const told = new Promise((resolve) => subscriber.once("message", (...m) => resolve(m)));
await redis.publish("channel", "news");
console.log(await told);
const blocked = redis.duplicate().blpop("list", 5);
await redis.lpush("list", "item");
console.log(await blocked);
await redis.call("nonsense").catch((e) => console.log(e.name));
await redis.flushall();
process.exit(0);
