/** The documents point at what exists: paths in backticks, links, and headings that links name. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** Documents whose backticked paths count from the root. */
const FROM_ROOT = ["README.md", "docs/map.md", "docs/scripts.md", "docs/dependencies.md"];
const PATH = /`((?:src|docs|test|bench|fuzz|examples|native|scripts|bin|\.ci)\/[^`\s]*)`/g;
const LINK = /\]\(([^)#]*)(?:#([^)]*))?\)/g;

const SKIPPED = new Set(["node_modules", "dist", ".git"]);

function documents(folder = ""): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : documents(path);
    return entry.name.endsWith(".md") ? [path] : [];
  });
}

test("every path that the README and the map name exists", () => {
  const missing: string[] = [];
  for (const document of FROM_ROOT) {
    for (const [, path] of read(document).matchAll(PATH)) {
      const isPattern = /[A-Z]{4}/.test(path!) && !path!.endsWith(".md"); // src/wire/PROTOCOL.ts
      if (!isPattern && !existsSync(join(ROOT, path!))) missing.push(`${document}: ${path}`);
    }
  }
  assert.deepEqual(missing, []);
});

test("every link in a document leads somewhere", () => {
  const missing: string[] = [];
  for (const document of documents()) {
    for (const [, target, heading] of read(document).matchAll(LINK)) {
      if (/^[a-z]+:/.test(target!)) continue;
      const path = target === "" ? document : join(dirname(document), target!);
      if (!existsSync(join(ROOT, path))) missing.push(`${document}: ${target}`);
      else if (heading !== undefined && !headings(path).includes(heading)) {
        missing.push(`${document}: ${target}#${heading}`);
      }
    }
  }
  assert.deepEqual(missing, []);
});

test("a folder's README is at most 60 lines", () => {
  const long = documents()
    .filter((path) => path.endsWith("/README.md"))
    .filter((path) => read(path).split("\n").length > 61);
  assert.deepEqual(long, []);
});

const read = (path: string): string => readFileSync(join(ROOT, path), "utf8");

function headings(path: string): string[] {
  return [...read(path).matchAll(/^#+ (.*)$/gm)].map(([, text]) =>
    text!
      .toLowerCase()
      .replaceAll(/[^a-z0-9 -]/g, "")
      .replaceAll(" ", "-"),
  );
}
