/** Finds the targets and reads their committed inputs. */
import { readdirSync, readFileSync } from "node:fs";
import type { Target } from "./target.js";

/** The folder of the sources, where corpus and crashes lie; this file runs from `dist/fuzz/`. */
export const FUZZ_FOLDER = new URL("../../fuzz/", import.meta.url);

/** All targets, by the files under `targets/`. */
export async function loadTargets(): Promise<Target[]> {
  const folder = new URL("targets/", import.meta.url);
  const files = readdirSync(folder).filter((file) => file.endsWith(".js"));
  const modules = await Promise.all(files.sort().map((file) => import(new URL(file, folder).href)));
  return modules.map((module: { target: Target }) => module.target);
}

/** One input: `*.hex` holds hexadecimal digits, any other file raw bytes. */
export function readInput(url: URL): Uint8Array {
  if (!url.pathname.endsWith(".hex")) return Uint8Array.from(readFileSync(url));
  return Uint8Array.from(Buffer.from(readFileSync(url, "utf8").replaceAll(/\s/g, ""), "hex"));
}

/** The committed inputs of a target. */
export function loadCorpus(target: Target): { file: string; input: Uint8Array }[] {
  const folder = new URL(`corpus/${target.corpus ?? target.name}/`, FUZZ_FOLDER);
  return readdirSync(folder)
    .sort()
    .map((file) => ({ file, input: readInput(new URL(file, folder)) }));
}
