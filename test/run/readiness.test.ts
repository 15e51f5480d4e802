/** epoll, poll, select and signals on accelerated sockets, compared with the kernel. */
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "cc");

let comparison: Comparison;
before(async () => {
  comparison = await Comparison.begin();
});
after(() => comparison.end());

test("readiness is told as the kernel tells it", async (t) => {
  const program = comparison.build("readiness");
  for (const name of comparison.cases("readiness")) {
    await t.test(name, () => comparison.compare(program, name));
  }
});

test("random games with sockets and epoll instances end alike", () => {
  const program = comparison.build("epoll-random");
  comparison.compare(program, "1", "25");
});
