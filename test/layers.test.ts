/** Imports point down only: the table of docs/architecture.md, enforced. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const ROOT = new URL("../../src/", import.meta.url);

/** What each folder of src/ may import, itself always included. */
const MAY_IMPORT: Record<string, readonly string[]> = {
  base: [],
  wire: ["base"],
  ring: ["base"],
  ebpf: ["base"],
  sys: ["base"],
  tcp: ["base", "wire"],
  nic: ["base", "wire", "ring", "ebpf", "sys"],
  ip: ["base", "wire", "ring", "nic"],
  link: ["base", "wire", "ring", "nic", "ip"],
  xdp: ["base", "wire", "ring", "ebpf"],
  socket: ["base", "wire", "ring", "nic", "ip", "tcp"],
  engine: ["base", "wire", "ring", "ebpf", "sys", "nic", "ip", "link", "xdp", "tcp", "socket"],
  node: ["base", "wire", "ring", "ebpf", "sys", "nic", "ip", "link", "xdp", "tcp", "socket"],
  stat: ["base", "ring"],
};
/** Folders that may import anything but the command line. */
const TOP = new Set(["sim", "cli"]);

test("every import under src/ points down the layers", () => {
  const wrong: string[] = [];
  for (const entry of readdirSync(ROOT, { recursive: true })) {
    const file = String(entry);
    if (!file.endsWith(".ts") || file.endsWith(".test.ts") || !file.includes("/")) continue;
    const folder = file.split("/")[0]!;
    const text = readFileSync(new URL(file, ROOT), "utf8");
    for (const match of text.matchAll(/from "((?:\.\.\/)+)([a-z]+)\//g)) {
      const target = match[2]!;
      if (target === folder) continue;
      const allowed = TOP.has(folder)
        ? target !== "cli" || folder === "cli"
        : MAY_IMPORT[folder]?.includes(target);
      if (!allowed) wrong.push(`${file} imports ${target}/`);
    }
  }
  assert.deepEqual(wrong, []);
});
