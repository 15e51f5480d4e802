/** dup, fork, exec, passing, streams and files with accelerated sockets, compared with the kernel. */
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "cc");

let comparison: Comparison;
before(async () => {
  comparison = await Comparison.begin();
});
after(() => comparison.end());

test("processes share sockets as they do in the kernel", async (t) => {
  const program = comparison.build("process");
  for (const name of comparison.cases("process")) {
    await t.test(name, () => comparison.compare(program, name));
  }
});

test("processes share sockets that are bound and no more", async (t) => {
  const program = comparison.build("bound");
  for (const name of comparison.cases("bound")) {
    await t.test(name, () => comparison.compare(program, name));
  }
});
