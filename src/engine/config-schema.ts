/**
 * What may stand in an engine's configuration file: JSON Schema (draft 2020-12), published as
 * docs/engine-config.schema.json, which a test compares with this. `config.ts` checks files by it.
 */

/** The part of JSON Schema that is used here. */
export interface Schema {
  readonly type: "object" | "array" | "string" | "number" | "integer" | "boolean";
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly pattern?: string;
  /** Not JSON Schema's: what `pattern` means, for messages. */
  readonly $comment?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly items?: Schema;
  readonly minItems?: number;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: false;
}

const PREFIX: Schema = {
  type: "string",
  pattern: "^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)/[0-9]{1,3}$",
  $comment: "an address with its prefix length, like 10.0.0.2/24 or fd00::2/64",
};

/** A {@link PREFIX} that an interface can have. */
const HOST: Schema = {
  ...PREFIX,
  $comment: "a host's address with its prefix length, like 10.0.0.2/24 or fd00::2/64",
};

const ADDRESS: Schema = {
  type: "string",
  pattern: "^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*)$",
  $comment: "an address, like 10.0.0.1 or fd00::1",
};

const ROUTE: Schema = {
  type: "object",
  properties: {
    to: { ...PREFIX, description: "Destinations." },
    via: { ...ADDRESS, description: "The gateway." },
  },
  required: ["to", "via"],
  additionalProperties: false,
};

const NIC: Schema = {
  type: "object",
  properties: {
    nic: {
      type: "string",
      pattern: "^.+$",
      $comment: "an interface (eth1) or KIND:NAME (tap:tap0)",
      description:
        "As --nic has it: eth1 (AF_XDP, shared with the kernel), tap:tap0, memif:/run/x.sock, xdp:eth1,queue=0, packet:eth1.",
    },
    addresses: {
      type: "array",
      items: HOST,
      description: "Own addresses of an owned interface; a shared one has the kernel's.",
    },
    gateway: { ...ADDRESS, description: "Default route of an owned interface." },
    routes: { type: "array", items: ROUTE, description: "More routes of an owned interface." },
    mtuBytes: { type: "integer", minimum: 68, maximum: 65_535 },
    xdp: {
      type: "string",
      pattern: "^[^,]+(,.+)?$",
      $comment: "an object file, then maybe ,program=NAME ,engine=interp|wasm|trace ,map:NAME=FILE",
      description:
        "XDP program in front of the interface (docs/ebpf.md): filter.o,program=filter,map:blocked=blocked.json.",
    },
  },
  required: ["nic"],
  additionalProperties: false,
};

const RING_BYTES: Schema = {
  type: "integer",
  minimum: 4096,
  maximum: 16_777_216,
};

export const CONFIG_SCHEMA: Schema = {
  type: "object",
  description: "Configuration of millrace engine.",
  properties: {
    $schema: { type: "string", description: "For editors; not looked at." },
    nics: {
      type: "array",
      items: NIC,
      description: "Interfaces; none: a network among this user's programs on this machine.",
    },
    network: {
      ...HOST,
      default: "10.77.0.1/16",
      description: "Default address of programs, and network of their own ones (--address).",
    },
    profile: {
      type: "string",
      enum: ["latency", "balanced", "idle"],
      default: "balanced",
      description:
        "latency: the engine and waiting programs spin for ever; balanced: for a while, then sleep; idle: sleep at once.",
    },
    spinUs: {
      type: "integer",
      minimum: 0,
      maximum: 4_294_967_293,
      description: "How long to spin before sleeping, in microseconds; the profile's when absent.",
    },
    rules: {
      type: "string",
      pattern: "^.+$",
      $comment: "a file's name",
      description: "File of acceleration rules (docs/rules.md), from this file's folder on.",
    },
    ringBytes: {
      type: "object",
      description:
        "Bytes of the rings that a new UDP socket shares with the engine, powers of two; TCP sockets have half.",
      properties: {
        receive: { ...RING_BYTES, default: 131_072 },
        send: { ...RING_BYTES, default: 131_072 },
      },
      additionalProperties: false,
    },
    loopback: {
      type: "boolean",
      default: false,
      description: "Whether 127.0.0.0/8 and ::1 go through Millrace.",
    },
    keep: {
      type: "boolean",
      default: false,
      description: "Whether the engine stays when no program uses it any more.",
    },
    idleSeconds: {
      type: "integer",
      minimum: 0,
      maximum: 86_400,
      default: 10,
      description: "How long it waits for another program before it ends.",
    },
  },
  additionalProperties: false,
};

/** The file docs/engine-config.schema.json. */
export function schemaText(): string {
  const head = {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    title: "Millrace engine",
  };
  return `${JSON.stringify({ ...head, ...CONFIG_SCHEMA }, null, 2)}\n`;
}
