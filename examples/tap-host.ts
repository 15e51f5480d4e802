/** What the examples over TAP share: their options, and a host made of them. */
import { type ParseArgsConfig, parseArgs } from "node:util";
import { createHost, type Host, openTap } from "../src/index.js";

export const TAP_HELP = `  --tap NAME          TAP interface to use or create (default: mr0)
  --address ADDRESS   address with prefix length; may be repeated (default: 10.77.0.2/24)
  --gateway ADDRESS   default gateway; may be repeated
  --mtu BYTES         MTU of the link
  --no-offload        pass every frame as on a wire: no unmade checksums, no large segments
  --spin MICROSECONDS how long to poll before sleeping, or "forever" (default: 0)

A TAP interface takes CAP_NET_ADMIN, or namespaces of your own: unshare -rn
Give the kernel's end an address, for example: ip address add 10.77.0.1/24 dev mr0`;

const TAP_OPTIONS: ParseArgsConfig["options"] = {
  help: { type: "boolean", default: false },
  tap: { type: "string", default: "mr0" },
  address: { type: "string", multiple: true, default: ["10.77.0.2/24"] },
  gateway: { type: "string", multiple: true, default: [] },
  mtu: { type: "string" },
  "no-offload": { type: "boolean", default: false },
  spin: { type: "string", default: "0" },
};

interface Extra {
  readonly [name: string]: { type: "string"; default?: string } | { type: "boolean" };
}

export interface TapArguments {
  readonly host: Host;
  readonly values: Readonly<Record<string, string | boolean | string[] | undefined>>;
  readonly positionals: readonly string[];
}

/** Reads the command line; prints `help` and exits when asked for it, or on a mistake. */
export function tapArguments(help: string, extra: Extra = {}): TapArguments {
  const usage = `${help}\n\nOptions:\n${TAP_HELP}`;
  try {
    const { values, positionals } = parseArgs({
      options: { ...TAP_OPTIONS, ...extra },
      allowPositionals: true,
    });
    if (values.help === true) {
      console.log(usage);
      process.exit(0);
    }
    return { host: tapHost(values as never), values: values as never, positionals };
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${usage}`);
    process.exit(2);
  }
}

function tapHost(values: {
  tap: string;
  address: string[];
  gateway: string[];
  mtu?: string;
  "no-offload": boolean;
  spin: string;
}): Host {
  const device = openTap({
    name: values.tap,
    offload: !values["no-offload"],
    ...(values.mtu === undefined ? {} : { mtuBytes: Number(values.mtu) }),
  });
  return createHost({
    device,
    addresses: values.address,
    gateway: values.gateway,
    spinUs: values.spin === "forever" ? Number.POSITIVE_INFINITY : Number(values.spin),
  });
}

/** A number among the extra options. */
export function numberOf(args: TapArguments, name: string): number {
  const n = Number(args.values[name]);
  if (Number.isFinite(n)) return n;
  console.error(`expected a number for --${name}, got ${args.values[name]}`);
  process.exit(2);
}
