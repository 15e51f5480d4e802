/**
 * Programs written to be refused, each beside one that is right: the kernel's verifier and ours must say of each
 * what its name says.
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type BpfObject, type ObjectProgram, parseObject } from "../../src/ebpf/object.js";
import { VerifyError } from "../../src/ebpf/verify-error.js";
import { verifyProgram } from "../../src/ebpf/verify-program.js";
import { KernelObject } from "../../src/nic/kernel-object.js";
import { VerifierError } from "../../src/sys/bpf-program.js";
import { compileProgram } from "../support/xdp-objects.js";

const FOLDER = fileURLToPath(new URL("../../../test/interop/refused/", import.meta.url));
const DIFFERENCES = "differences.c";

/** A refusal in words; null: it is taken. */
function ours(object: BpfObject, program: ObjectProgram): string | null {
  try {
    verifyProgram(object, program);
    return null;
  } catch (error) {
    if (error instanceof VerifyError) return error.reason;
    throw error;
  }
}

function theirs(object: BpfObject, program: ObjectProgram): string | null {
  try {
    KernelObject.load(object, { program: program.name }).close();
    return null;
  } catch (error) {
    if (error instanceof VerifierError) return error.message;
    throw error;
  }
}

const read = (file: string): BpfObject => parseObject(compileProgram(join(FOLDER, file), "v3"));

const FILES = readdirSync(FOLDER).filter((file) => file.endsWith(".c") && file !== DIFFERENCES);
/** As many as there are: a program that is left out by mistake is missed. */
const REFUSED = 125;

test("what is wrong is refused by both, and what is right is taken by both", (t) => {
  const wrong: string[] = [];
  const counts = { bad: 0, ok: 0 };
  for (const file of FILES) {
    const object = read(file);
    for (const program of object.programs) {
      const kind = /_(bad|ok)$/.exec(program.name)?.[1] as "bad" | "ok" | undefined;
      assert.ok(kind !== undefined, `${file}: ${program.name}`);
      counts[kind]++;
      const isRight = kind === "ok";
      const [we, they] = [ours(object, program), theirs(object, program)];
      if ((we === null) === isRight && (they === null) === isRight) continue;
      wrong.push(`${file} ${program.name}: we say ${we ?? "ok"}; the kernel ${they ?? "ok"}`);
    }
  }
  assert.deepEqual(wrong, []);
  t.diagnostic(`${counts.bad} programs are refused by both, ${counts.ok} are taken by both`);
  assert.equal(counts.bad, REFUSED);
});

test("what only the kernel takes is refused here with a reason", () => {
  const object = read(DIFFERENCES);
  const reasons = object.programs.map((program) => `${program.name}: ${ours(object, program)}`);
  assert.deepEqual(reasons, [
    "sure_of_it: r0 may be NULL here: compare it with 0 first",
    "map_read: r1 is a map, which cannot be read",
    "negated: r1 is the context, not a number",
    "both_ends: bpf_xdp_store_bytes: argument 4 (r4) has no bound: compare the length with one first",
    "calls_global: others_may_call is called while the lock of counts is held, and is not static: the kernel takes static functions only there",
    "calls_hidden: null",
  ]);
});
