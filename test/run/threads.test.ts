/** Threads that wait for accelerated sockets in one epoll instance, and limits, compared with the kernel. */
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "cc");

let comparison: Comparison;
before(async () => {
  comparison = await Comparison.begin();
});
after(() => comparison.end());

test("threads are woken, and limits met, as by the kernel", async (t) => {
  const program = comparison.build("threads");
  for (const name of comparison.cases("threads")) {
    await t.test(name, () => comparison.compare(program, name));
  }
});

test("a crowd of threads on the same sockets is served", () => {
  comparison.compare(comparison.build("crowd"));
});
