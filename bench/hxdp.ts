/**
 * The programs that hXDP was measured with, from its authors' repository, as traces for the same processor:
 * table T5 of docs/xdp-evaluation.md.
 *
 *     git clone https://github.com/axbryd/hXDP-Artifacts
 *     node dist/bench/hxdp.js hXDP-Artifacts [--captures FOLDER] [--packets N]
 *
 * hXDP's cycles are what it publishes: the instructions that a packet executes divided by the instructions a
 * cycle of its table 3, which charge nothing for lookups. Ours charge four cycles each.
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { Random } from "../src/base/random.js";
import { readCaptures } from "../src/cli/xdp/eval.js";
import type { XdpInstance } from "../src/ebpf/instance.js";
import { WideKind } from "../src/ebpf/isa.js";
import type { MapDefinition } from "../src/ebpf/map-definition.js";
import { MapFlag, MapType } from "../src/ebpf/map-type.js";
import type { BpfObject } from "../src/ebpf/object.js";
import { profileProgram } from "../src/xdp/evaluation.js";
import { hitRate, pathTable } from "../src/xdp/evaluation-cache.js";
import { cyclesPerPacket, vliwTable, withMachine } from "../src/xdp/evaluation-vliw.js";
import { mixTraffic } from "../src/xdp/traffic-mix.js";
import { HXDP_MACHINE } from "../src/xdp/vliw.js";

interface Published {
  readonly name: string;
  /** Where its bytecode is in the repository. */
  readonly file: string;
  /** Instructions a cycle in table 3 of the paper. */
  readonly instructionsPerCycle: number;
  readonly maps: readonly MapDefinition[];
  /** Maps in the order in which the code names them. */
  readonly references: readonly string[];
  readonly fill?: (instance: XdpInstance, packets: readonly Uint8Array[]) => void;
}

function map(
  name: string,
  type: number,
  keyBytes: number,
  valueBytes: number,
  maxEntries: number,
): MapDefinition {
  const flags = type === MapType.LPM_TRIE ? MapFlag.NO_PREALLOC : 0;
  const rest = { inner: null, initial: null, entries: [], keyType: 0, valueType: 0 };
  return { name, type, keyBytes, valueBytes, maxEntries, flags, ...rest };
}

const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
const { PERCPU_ARRAY, ARRAY, HASH, LPM_TRIE, DEVMAP } = MapType;

const PROGRAMS: readonly Published[] = [
  {
    name: "xdp1",
    file: "xdp_bytecode_dump/xdp1",
    instructionsPerCycle: 1.7,
    maps: [map("rxcnt", PERCPU_ARRAY, 4, 8, 256)],
    references: ["rxcnt"],
  },
  {
    name: "xdp2",
    file: "xdp_bytecode_dump/xdp2",
    instructionsPerCycle: 1.81,
    maps: [map("rxcnt", PERCPU_ARRAY, 4, 8, 256)],
    references: ["rxcnt"],
  },
  {
    name: "router_ipv4",
    file: "xdp_bytecode_dump/xdp_router_ipv4",
    instructionsPerCycle: 2.38,
    maps: [
      map("lpm_map", LPM_TRIE, 8, 32, 100),
      map("rxcnt", PERCPU_ARRAY, 4, 8, 256),
      map("arp_table", HASH, 4, 8, 100),
      map("exact_match", HASH, 4, 32, 100),
      map("tx_port", DEVMAP, 4, 4, 100),
    ],
    references: ["exact_match", "lpm_map", "arp_table", "arp_table", "rxcnt", "tx_port"],
    fill: fillRoutes,
  },
  {
    name: "rxq_info",
    file: "parallelizer/xdp_prog_dump/xdp_rxq_info",
    instructionsPerCycle: 1.76,
    maps: [
      map("config_map", ARRAY, 4, 12, 1),
      map("stats_global_map", PERCPU_ARRAY, 4, 16, 1),
      map("rx_queue_index_map", PERCPU_ARRAY, 4, 16, 65),
    ],
    references: ["stats_global_map", "config_map", "rx_queue_index_map"],
    // Transmit, of interface 1, addresses exchanged.
    fill: (instance) => void instance.map("config_map").set(u32(0), u32(3, 1, 3)),
  },
  {
    name: "simple_firewall",
    file: "parallelizer/xdp_prog_dump/nec_udp_firewall",
    instructionsPerCycle: 2.66,
    maps: [map("tx_port", DEVMAP, 4, 4, 64), map("flow_ctx_table", HASH, 16, 4, 1024)],
    references: ["flow_ctx_table", "tx_port", "flow_ctx_table", "tx_port"],
    fill: (instance) => fillPorts(instance, 6),
  },
];

function fillPorts(instance: XdpInstance, count: number): void {
  for (let n = 0; n < count; n++) instance.map("tx_port").set(u32(n), u32(1));
}

const GATEWAY = Uint8Array.of(10, 0, 0, 1);

/** Routes for one address in forty, every other one by a gateway. */
function fillRoutes(instance: XdpInstance, packets: readonly Uint8Array[]): void {
  const isIpv4 = (p: Uint8Array): boolean =>
    p.length >= 42 && p[12] === 8 && p[13] === 0 && p[14] === 0x45;
  const some = packets.filter(isIpv4).filter((_, n) => n % 40 === 0);
  for (const [n, packet] of some.entries()) {
    const address = packet.slice(30, 34);
    const route = new Uint8Array(32);
    route.set(address, 0);
    route.set([2, 0, 0, 0, 0, n & 255], 8);
    route.set(u32(n % 50), 16);
    if (n % 2 === 1) route.set(GATEWAY, 24);
    instance.map("lpm_map").set(Uint8Array.of(n % 3 ? 24 : 16, 0, 0, 0, ...address), route);
    instance.map("arp_table").set(address, Uint8Array.of(2, 1, 1, 1, 1, 1, 0, 0));
  }
  instance.map("arp_table").set(GATEWAY, Uint8Array.of(2, 9, 9, 9, 9, 9, 0, 0));
  fillPorts(instance, 50);
}

const LDDW = 0x18;

/** The instructions of a disassembly, `N: 61 12 04 00 …`, whose maps are not resolved. */
function readDump(text: string, program: Published): BpfObject {
  const bytes: number[] = [];
  const maps: { at: number; map: string }[] = [];
  for (const [, hex] of text.matchAll(/^\s*\d+:\s+((?:[0-9a-f]{2} )*[0-9a-f]{2})\s/gm)) {
    const instruction = hex!.split(" ").map((byte) => Number.parseInt(byte, 16));
    const isMap = instruction[0] === LDDW && instruction.slice(2).every((byte) => byte === 0);
    if (isMap) {
      maps.push({ at: bytes.length, map: program.references[maps.length]! });
      instruction[1]! |= WideKind.MAP_FD << 4;
    }
    bytes.push(...instruction);
  }
  const code = Uint8Array.from(bytes);
  const functions = [{ name: program.name, at: 0 }];
  const only = { name: program.name, section: "xdp", problem: null, code, maps, functions };
  return { programs: [{ ...only, lines: [] }], maps: program.maps, license: "GPL", btf: null };
}

const { values, positionals } = parseArgs({
  options: {
    captures: { type: "string", default: "test/vectors/captures" },
    packets: { type: "string", default: "50000" },
  },
  allowPositionals: true,
});
const [folder] = positionals;
if (folder === undefined) throw new RangeError("say where hXDP-Artifacts is");
const files = await readCaptures([values.captures], process.stdin);
const packets = mixTraffic(files, Number(values.packets), new Random(1));
console.log(
  "| program | words | rows | executed | hXDP cycles | ours | ratio | lookup 1 cycle | LRU-16 % |",
);
console.log("|---|---:|---:|---:|---:|---:|---:|---:|---:|");
for (const program of PROGRAMS) {
  const object = readDump(readFileSync(join(folder, program.file), "utf8"), program);
  const profile = profileProgram(object, program.name, packets, {
    accessPackets: 0,
    setUp: (instance) => program.fill?.(instance, files.flat()),
  });
  const { executed, cycles, programRows } = vliwTable(profile, object.programs[0]!, HXDP_MACHINE);
  const theirs = executed / program.instructionsPerCycle;
  const quick = cyclesPerPacket(profile, withMachine({ lookup: 1 }));
  const cells = [
    program.name,
    object.programs[0]!.code.length / 8,
    programRows,
    executed.toFixed(1),
    theirs.toFixed(1),
    cycles.toFixed(1),
    (theirs / cycles).toFixed(2),
    (theirs / quick).toFixed(2),
    (100 * hitRate(profile, "merged", "lru", 16)).toFixed(2),
  ];
  console.log(`| ${cells.join(" | ")} |`);
  console.error(`${program.name}: ${pathTable(profile).paths} paths`);
}
