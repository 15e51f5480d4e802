/** One packet of a capture in full: its bytes and the maps before and after the program. */
import { decodeValue, type Readable } from "../../../ebpf/btf-value.js";
import type { PacketRunner, XdpInstance } from "../../../ebpf/instance.js";
import { mapTypeName } from "../../../ebpf/map-type.js";
import { verdictName } from "../../../ebpf/xdp-verdict.js";

export interface MapChange {
  readonly map: string;
  readonly type: string;
  readonly key: Readable;
  /** null: there was none, there is none any more. */
  readonly before: Readable | null;
  readonly after: Readable | null;
}

export interface PacketEffect {
  readonly verdict: string;
  /** Where XDP_REDIRECT goes; empty: nowhere. */
  readonly target: string;
  /** Hexadecimal. */
  readonly before: string;
  readonly after: string;
  /** Where `after` begins, relative to `before`: negative when bytes were put in front. */
  readonly shift: number;
  readonly maps: readonly MapChange[];
  /** There are more than are listed. */
  readonly areMapsCut: boolean;
  /** Lines of `bpf_trace_printk`. */
  readonly prints: readonly string[];
}

const MAX_CHANGES = 100;

type Contents = ReadonlyMap<string, Uint8Array>;
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");

/** Runs a packet; `prints` is what the instance's hook has noted. */
export function runInDetail(
  instance: XdpInstance,
  bytes: Uint8Array,
  prints: string[],
): PacketEffect {
  const before = instance.runtime.maps.map(contents);
  prints.length = 0;
  let cameAt = 0;
  const runner: PacketRunner = {
    runAt(at, end, hardStart, hardEnd) {
      cameAt = at;
      return instance.runAt(at, end, hardStart, hardEnd);
    },
  };
  const { verdict, packet, redirect } = instance.run(bytes, {}, runner);
  const changes = instance.runtime.maps.flatMap((_, n) => changesOf(instance, n, before[n]!));
  return {
    verdict: verdictName(verdict),
    target: redirect === null ? "" : `${redirect.map ?? "interface"} ${redirect.key}`,
    before: hex(bytes),
    after: hex(packet),
    shift: instance.runtime.dataAt - cameAt,
    maps: changes.slice(0, MAX_CHANGES),
    areMapsCut: changes.length > MAX_CHANGES,
    prints: [...prints],
  };
}

function contents(map: XdpInstance["runtime"]["maps"][number]): Contents {
  return new Map(map.entries().map(({ key, value }) => [hex(key), value]));
}

function changesOf(instance: XdpInstance, n: number, before: Contents): MapChange[] {
  const map = instance.runtime.maps[n]!;
  const { keyType, valueType, valueBytes } = map.definition;
  const { btf } = instance.object;
  const after = contents(map);
  const found: MapChange[] = [];
  const say = (value: Uint8Array | undefined): Readable | null =>
    value === undefined ? null : decodeValue(btf, valueType, value.subarray(0, valueBytes));
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    const [old, now] = [before.get(key), after.get(key)];
    if (old !== undefined && now !== undefined && Buffer.compare(old, now) === 0) continue;
    found.push({
      map: map.name,
      type: mapTypeName(map.type),
      key: decodeValue(btf, keyType, Buffer.from(key, "hex")),
      before: say(old),
      after: say(now),
    });
  }
  return found;
}
