/**
 * Writes docs/conformance.md: `node scripts/conformance.js [--check]`.
 *
 * It collects lines `// @rfc NUMBER §SECTION [REQUIREMENT] yes|no|partly|deviates` from src/ and the
 * titles of the conformance cases from dist/ (build first). `--check` writes nothing and fails when
 * the file is not up to date.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ALL_CASES } from "../dist/test/conformance/all-cases.js";
import { ALL_IP_CASES } from "../dist/test/conformance/all-ip-cases.js";

const root = fileURLToPath(new URL("..", import.meta.url));
const documentPath = join(root, "docs", "conformance.md");
const MARK = /^\s*\/\/ @rfc (\d+) (§\S+)(?: ([A-Z]+-\d+))? (yes|no|partly|deviates)$/;

/** Requirement lines of the sources, by RFC number. */
function requirements() {
  const byRfc = new Map();
  const files = readdirSync(join(root, "src"), { recursive: true })
    .map(String)
    .filter((file) => file.endsWith(".ts"))
    .sort();
  for (const file of files) {
    const lines = readFileSync(join(root, "src", file), "utf8").split("\n");
    for (const [i, line] of lines.entries()) {
      if (!/^\s*\/\/ @rfc\b/.test(line)) continue;
      const found = MARK.exec(line);
      if (found === null)
        throw new Error(
          `src/${file}:${i + 1}: expected "// @rfc NUMBER §SECTION [ID] yes|no|partly|deviates"`,
        );
      const [, rfc, section, id = "", state] = found;
      listOf(byRfc, Number(rfc)).push({ section, id, state, file: `src/${file}` });
    }
  }
  return byRfc;
}

/** Cases by the RFC number that their title, or else their group, begins with. */
function cases() {
  const byRfc = new Map();
  for (const groups of [ALL_CASES, ALL_IP_CASES]) {
    for (const [group, list] of Object.entries(groups)) {
      for (const { title, notOnLinux, family } of list) {
        const own = /^RFC (\d+)[,]? /.exec(title);
        const rfc = own ?? /^RFC (\d+)$/.exec(group);
        const text = own === null ? title : title.slice(own[0].length);
        const over = family === 6 ? " (over IPv6)" : "";
        listOf(byRfc, rfc === null ? 0 : Number(rfc[1])).push({ text: text + over, notOnLinux });
      }
    }
  }
  return byRfc;
}

function listOf(map, key) {
  if (!map.has(key)) map.set(key, []);
  return map.get(key);
}

/** Sorts by section and requirement as people do: 3.2 before 3.10. */
const byPlace = new Intl.Collator("en", { numeric: true });

function requirementTable(list) {
  const rows = list
    .map(({ section, id, state, file }) => `| ${section} | ${id} | ${state} | \`${file}\` |`)
    .sort(byPlace.compare);
  return ["| section | number | done | where |", "|---|---|---|---|", ...rows, ""];
}

function caseList(list) {
  const lines = list.map(({ text, notOnLinux }) => {
    const note = notOnLinux === undefined ? "" : ` *(not run on Linux: ${notOnLinux})*`;
    return `- ${text}${note}`;
  });
  return [...lines.sort(byPlace.compare), ""];
}

export function conformanceDocument() {
  const required = requirements();
  const proved = cases();
  const all = [...proved.values()].flat();
  const onLinux = all.filter((one) => one.notOnLinux === undefined).length;
  const lines = [
    "# Conformance",
    "",
    "Made by `npm run build && node scripts/conformance.js`; do not edit.",
    "",
    `${all.length} cases run on Millrace in virtual time; ${onLinux} of them run on Linux too, and must pass`,
    "there first. Cases that Millrace fails and should pass are listed in",
    "`test/conformance/known-failing.txt` and `known-failing-ip.txt`. A table says what the sources",
    "claim: `yes`, `no`, `partly`, or `deviates` (on purpose, mostly as Linux does; the comment there says why).",
    "",
  ];
  const numbers = [...new Set([...required.keys(), ...proved.keys()])].sort((a, b) => a - b);
  for (const rfc of numbers) {
    lines.push(rfc === 0 ? "## Linux's own calls" : `## RFC ${rfc}`, "");
    if (required.has(rfc)) lines.push(...requirementTable(required.get(rfc)));
    if (proved.has(rfc)) lines.push(...caseList(proved.get(rfc)));
  }
  return lines.join("\n");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const text = conformanceDocument();
  if (!process.argv.includes("--check")) {
    writeFileSync(documentPath, text);
  } else if (readFileSync(documentPath, "utf8") !== text) {
    console.error("docs/conformance.md is not up to date: run node scripts/conformance.js");
    process.exit(1);
  }
}
