/** XDP programs as object files: ours, built by clang for this run, and those of Debian's libxdp1. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BpfObject, parseObject } from "../../src/ebpf/object.js";
import { requireTools } from "./tools.js";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SOURCES = join(ROOT, "examples/xdp/");
const INCLUDES = `/usr/include/${arch() === "arm64" ? "aarch64" : "x86_64"}-linux-gnu`;
const LIBXDP = `/usr/lib/${arch() === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/bpf`;

/** In the build folder. */
const KEPT = fileURLToPath(new URL("../../objects/", import.meta.url));
/** Ours, and of the system's those that change with what objects are made of. */
const HEADERS: readonly string[] = [
  ...readdirSync(SOURCES)
    .filter((file) => file.endsWith(".h"))
    .map((file) => join(SOURCES, file)),
  "/usr/include/linux/bpf.h",
  "/usr/include/bpf/bpf_helpers.h",
  "/usr/include/bpf/bpf_helper_defs.h",
  "/usr/include/bpf/bpf_core_read.h",
  "/usr/include/bpf/bpf_endian.h",
];

/** The instruction sets that clang 14 knows: with and without jumps and arithmetic of 32 bits. */
export type BpfCpu = "v2" | "v3";

/** Programs of examples/xdp by name. */
export const EXAMPLES: readonly string[] = readdirSync(SOURCES)
  .filter((file) => file.endsWith(".c"))
  .map((file) => file.slice(0, -2))
  .sort();

/** Uses the results of atomic additions, which v2 has not. */
const NEEDS_V3: ReadonlySet<string> = new Set(["nat"]);

export interface NamedObject {
  readonly name: string;
  readonly object: BpfObject;
}

/** The bytes of an example's object. Throws what clang says. */
export const compileExample = (name: string, cpu: BpfCpu): Uint8Array =>
  compileProgram(join(SOURCES, `${name}.c`), cpu);

/**
 * The bytes of an object; the examples' headers are there. Those of our sources are kept in the build folder, by the content of
 * all that they are made of: clang takes 16 s for the examples.
 */
export function compileProgram(source: string, cpu: BpfCpu): Uint8Array {
  requireTools("clang");
  if (!source.startsWith(ROOT)) return compile(source, cpu); // made for one test
  const kept = join(KEPT, `${keyOf(source, cpu)}.o`);
  if (existsSync(kept)) return readFileSync(kept);
  const bytes = compile(source, cpu);
  // Other processes may write the same one: it is there whole or not at all.
  mkdirSync(KEPT, { recursive: true });
  const own = `${kept}.${process.pid}`;
  writeFileSync(own, bytes);
  renameSync(own, kept);
  return bytes;
}

/** Whatever the object depends on: sources, where they are (source lines name them), headers and the compiler. */
function keyOf(source: string, cpu: BpfCpu): string {
  const hash = createHash("sha256").update(`${cpu} ${source} ${process.cwd()} ${compiler()} `);
  hash.update(readFileSync(source));
  for (const header of HEADERS) hash.update(readFileSync(header));
  return hash.digest("hex").slice(0, 32);
}

let version: string | null = null;

function compiler(): string {
  version ??= spawnSync("clang", ["--version"], { encoding: "utf8" }).stdout;
  return version;
}

function compile(source: string, cpu: BpfCpu): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "millrace-xdp-"));
  try {
    const out = join(folder, "program.o");
    const flags = ["-O2", "-g", "-Wall", "-Wextra", "-Werror", "-target", "bpf", `-mcpu=${cpu}`];
    const args = [...flags, `-I${INCLUDES}`, `-I${SOURCES}`, "-c", source, "-o", out];
    const { status, stderr } = spawnSync("clang", args, { encoding: "utf8" });
    assert.equal(status, 0, `clang ${args.join(" ")}: ${stderr}`);
    return readFileSync(out);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Every example, for both instruction sets where that can be. */
export function exampleObjects(): NamedObject[] {
  compiled ??= compileExamples();
  return compiled;
}

let compiled: NamedObject[] | null = null;

function compileExamples(): NamedObject[] {
  return EXAMPLES.flatMap((name) =>
    (["v2", "v3"] as const)
      .filter((cpu) => cpu === "v3" || !NEEDS_V3.has(name))
      .map((cpu) => ({ name: `${name} (${cpu})`, object: parseObject(compileExample(name, cpu)) })),
  );
}

/** The objects that xdp-tools installs, as they are. */
export function libxdpObjects(): NamedObject[] {
  return readdirSync(LIBXDP)
    .filter((file) => file.endsWith(".o"))
    .map((name) => ({ name, object: parseObject(readFileSync(join(LIBXDP, name))) }));
}
