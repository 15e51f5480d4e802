/**
 * Numbers the reasons of `src/wire/drop.ts` from 0 in the order they stand, after an insertion or a
 * merge: `node scripts/renumber-drops.js`.
 */
import { readFileSync, writeFileSync } from "node:fs";

const file = new URL("../src/wire/drop.ts", import.meta.url);
let code = 0;
const text = readFileSync(file, "utf8");
const from = text.indexOf("export const Drop = {");
const to = text.indexOf("} as const;");
if (from < 0 || to < from)
  throw new Error("drop.ts: found no `export const Drop = { … } as const;`");
const body = text
  .slice(from, to)
  .replace(/^( {2}[A-Z0-9_]+: )\d+,/gm, (_, name) => `${name}${code++},`);
writeFileSync(file, text.slice(0, from) + body + text.slice(to));
console.log(`drop.ts: ${code} reasons`);
