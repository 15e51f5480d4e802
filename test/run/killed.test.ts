/** What peers see when programs are killed, in every state of TCP, compared with the kernel. */
import { after, before, test } from "node:test";
import { enterNamespace } from "../support/namespace.js";
import { Comparison } from "./comparison.js";

await enterNamespace(import.meta.url, "cc");

let comparison: Comparison;
before(async () => {
  comparison = await Comparison.begin();
});
after(() => comparison.end());

test("TCP to a program that is killed ends as in the kernel", async (t) => {
  const program = comparison.build("killed");
  for (const name of comparison.cases("killed")) {
    await t.test(name, () => comparison.compare(program, name));
  }
});
