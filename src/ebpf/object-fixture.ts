/** Objects for tests: small ones that clang made, and programs of the assembler as objects. */
import { readFileSync } from "node:fs";
import type { Assembler } from "./asm.js";
import type { MapDefinition } from "./map-definition.js";
import { type BpfObject, parseObject } from "./object.js";

const FOLDER = new URL("../../../fuzz/corpus/elf/", import.meta.url);

/** The bytes of an object of examples/xdp, without debugging sections. */
export function objectBytes(name: string): Uint8Array {
  return new Uint8Array(readFileSync(new URL(`${name}.o`, FOLDER)));
}

export const objectOf = (name: string): BpfObject => parseObject(objectBytes(name));

/** A map of the given numbers. */
export function mapDefinition(
  fields: Partial<MapDefinition> & Pick<MapDefinition, "type">,
): MapDefinition {
  return {
    name: "map",
    keyBytes: 4,
    valueBytes: 8,
    maxEntries: 4,
    flags: 0,
    inner: null,
    initial: null,
    entries: [],
    keyType: 0,
    valueType: 0,
    ...fields,
  };
}

/** An object with one program. Labels that begin with `function` start functions. */
export function assembled(a: Assembler, maps: readonly MapDefinition[] = []): BpfObject {
  const { code, maps: references, labels } = a.assemble();
  const functions = [{ name: "main", at: 0 }];
  for (const [name, at] of labels) if (name.startsWith("function")) functions.push({ name, at });
  const program = {
    name: "main",
    section: "xdp",
    problem: null,
    code,
    maps: references,
    functions,
    lines: [],
  };
  return { programs: [program], maps, license: "GPL", btf: null };
}
