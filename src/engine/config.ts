/**
 * An engine's configuration, from the file of `--config`: JSON with comments, checked against
 * config-schema.ts. Mistakes are told with file, line, column and what was expected.
 */
import { dirname, resolve } from "node:path";
import { type JsonNode, type JsonPlace, parseCommentedJson } from "../base/commented-json.js";
import { IpAddress } from "../base/ip-address.js";
import { PlacedError, type Problem } from "../base/placed-error.js";
import { readText } from "../base/read-text.js";
import { whyNoHostText } from "../ip/host-address.js";
import { tryParsePrefix } from "../ip/prefix.js";
import { absoluteFiles } from "../nic/program-settings.js";
import { CONFIG_SCHEMA, type Schema } from "./config-schema.js";
import { mistakesOf } from "./nic-check.js";
import { type NicConfig, nicOf, type RawNic } from "./nic-config.js";
import { ValuePlaces } from "./value-places.js";

export type Profile = "latency" | "balanced" | "idle";

export interface ConfigPlace extends JsonPlace {
  readonly file: string;
}

export interface EngineConfig {
  readonly nics: readonly NicConfig[];
  /** Default address with prefix length of the host-local network. */
  readonly network: string;
  readonly profile: Profile;
  /** Null: the profile's. */
  readonly spinUs: number | null;
  /** Absolute path, or null. */
  readonly rules: string | null;
  /** Where the file names them; null: a flag does, or nobody. */
  readonly rulesPlace: ConfigPlace | null;
  readonly ringBytes: { readonly receive: number; readonly send: number };
  readonly loopback: boolean;
  readonly keep: boolean;
  readonly idleSeconds: number;
}

/** What holds where neither file nor flags say otherwise. */
export const DEFAULT_CONFIG: EngineConfig = {
  nics: [],
  network: "10.77.0.1/16",
  profile: "balanced",
  spinUs: null,
  rules: null,
  rulesPlace: null,
  ringBytes: { receive: 131_072, send: 131_072 },
  loopback: false,
  keep: false,
  idleSeconds: 10,
};

/** The file's shape, once it is known to fit the schema. */
interface RawConfig extends Partial<Omit<EngineConfig, "nics" | "rulesPlace" | "ringBytes">> {
  readonly nics?: readonly RawNic[];
  readonly ringBytes?: Partial<EngineConfig["ringBytes"]>;
}

/** Reads a file. Throws {@link PlacedError}, or the system's error. */
export function readConfig(path: string): EngineConfig {
  return parseConfig(readText(path), path);
}

/**
 * Reads a configuration from a text; `file` is for messages and what `rules` is relative to. What a file alone
 * can be known to say wrongly is refused here.
 */
export function parseConfig(text: string, file: string): EngineConfig {
  const node = parseCommentedJson(text, file);
  const problems: Problem[] = [];
  const raw = read(node, CONFIG_SCHEMA, "", problems) as RawConfig;
  if (problems.length > 0) throw new PlacedError(file, problems);
  const places = new Map<string, JsonPlace>();
  addPlaces(node, "", places);
  const nics = (raw.nics ?? []).map((nic, i) => ({
    ...nicOf(withProgramFiles(nic, dirname(file))),
    places: new ValuePlaces(file, `nics[${i}]`, places),
  }));
  const mistakes = mistakesOf(nics);
  if (mistakes.length > 0) {
    const all = mistakes.map(({ i, member, text: why }) => nics[i]!.places.problem(member, why));
    throw new PlacedError(file, all);
  }
  const rules = memberOf(node, "rules");
  return {
    ...DEFAULT_CONFIG,
    ...raw,
    nics,
    rules: raw.rules === undefined || raw.rules === null ? null : resolve(dirname(file), raw.rules),
    rulesPlace: rules === undefined ? null : { file, ...rules.place },
    ringBytes: { ...DEFAULT_CONFIG.ringBytes, ...raw.ringBytes },
  };
}

/** The place of a node and of all in it, by their names: `nics[0].addresses[1]`. */
function addPlaces(node: JsonNode, name: string, places: Map<string, JsonPlace>): void {
  places.set(name, node.place);
  if (node.kind === "array")
    for (const [i, one] of node.elements.entries()) addPlaces(one, `${name}[${i}]`, places);
  if (node.kind === "object")
    for (const { key, value } of node.members)
      addPlaces(value, name === "" ? key : `${name}.${key}`, places);
}

function memberOf(node: JsonNode, name: string): JsonNode | undefined {
  if (node.kind !== "object") return undefined;
  return node.members.find((member) => member.key === name)?.value;
}

/** File names are from the configuration's folder on. */
function withProgramFiles(nic: RawNic, folder: string): RawNic {
  return typeof nic.xdp === "string" ? { ...nic, xdp: absoluteFiles(nic.xdp, folder) } : nic;
}

/** The plain value of a node; what does not fit the schema is added to `problems`. */
function read(node: JsonNode, schema: Schema, name: string, problems: Problem[]): unknown {
  const refuse = (place: JsonPlace, expected: string, got: string): undefined => {
    problems.push({
      ...place,
      text: `${name === "" ? "" : `${name}: `}expected ${expected}; got ${got}`,
    });
    return undefined;
  };
  switch (node.kind) {
    case "object":
      if (schema.type !== "object") return refuse(node.place, wanted(schema), "an object");
      return readObject(node, schema, name, problems);
    case "array":
      if (schema.type !== "array") return refuse(node.place, wanted(schema), "a list");
      return node.elements.map((element, i) =>
        read(element, schema.items!, `${name}[${i}]`, problems),
      );
    case "null":
      return refuse(node.place, wanted(schema), "null");
    default:
      if (!fits(node.value, schema) || !isSound(node.value, schema, name))
        return refuse(node.place, wanted(schema, name), JSON.stringify(node.value));
      if (whyUnfit(node.value, schema) !== "") {
        const got = `${JSON.stringify(node.value)}, ${whyUnfit(node.value, schema)}`;
        return refuse(node.place, wanted(schema, name), got);
      }
      return node.value;
  }
}

function readObject(
  node: JsonNode & { readonly kind: "object" },
  schema: Schema,
  name: string,
  problems: Problem[],
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const known = schema.properties!;
  for (const { key, place, value } of node.members) {
    const path = name === "" ? key : `${name}.${key}`;
    const inner = Object.hasOwn(known, key) ? known[key] : undefined;
    if (inner === undefined) {
      const names = Object.keys(known).filter((one) => one !== "$schema");
      problems.push({
        ...place,
        text: `${name === "" ? "" : `${name}: `}expected one of ${names.join(", ")}; got ${JSON.stringify(key)}`,
      });
    } else if (key !== "$schema") {
      result[key] = read(value, inner, path, problems);
    } else {
      read(value, inner, path, problems);
    }
  }
  for (const key of schema.required ?? []) {
    if (!node.members.some((member) => member.key === key))
      problems.push({
        ...node.place,
        text: `${name === "" ? "" : `${name}: `}expected ${JSON.stringify(key)} among the members; it is missing`,
      });
  }
  return result;
}

/** What a schema wants, in words. */
function wanted(schema: Schema, name = ""): string {
  if (schema.enum !== undefined) return schema.enum.map((word) => `"${word}"`).join(", ");
  if (schema.$comment !== undefined) return schema.$comment;
  if (schema.type === "integer" && schema.minimum !== undefined) {
    const power = name.startsWith("ringBytes") ? "a power of two" : "a whole number";
    return `${power} from ${schema.minimum} to ${schema.maximum}`;
  }
  const article = { object: "an object", array: "a list", string: "a text in quotes" };
  const plain = { number: "a number", integer: "a whole number", boolean: "true or false" };
  return { ...article, ...plain }[schema.type];
}

function fits(value: string | number | boolean, schema: Schema): boolean {
  if (typeof value === "boolean") return schema.type === "boolean";
  if (typeof value === "string") {
    if (schema.type !== "string") return false;
    if (schema.enum !== undefined && !schema.enum.includes(value)) return false;
    return schema.pattern === undefined || new RegExp(schema.pattern).test(value);
  }
  if (schema.type !== "number" && schema.type !== "integer") return false;
  if (schema.type === "integer" && !Number.isInteger(value)) return false;
  return value >= (schema.minimum ?? value) && value <= (schema.maximum ?? value);
}

/** What a pattern cannot say: addresses that are some, sizes that are powers of two. */
function isSound(value: string | number | boolean, schema: Schema, name: string): boolean {
  if (typeof value === "number" && name.startsWith("ringBytes"))
    return Number.isInteger(Math.log2(value));
  const comment = schema.$comment ?? "";
  if (typeof value !== "string" || !/^(an|a host's) address/.test(comment)) return true;
  return value.includes("/") ? tryParsePrefix(value) !== null : IpAddress.tryParse(value) !== null;
}

/** Why an interface cannot have an address that is one, or "". */
function whyUnfit(value: string | number | boolean, schema: Schema): string {
  const isHost = schema.$comment?.startsWith("a host's address") === true;
  return isHost ? whyNoHostText(String(value)) : "";
}
