/**
 * The claims of an interface that is shared with the kernel, kept in the maps that the steering
 * program reads. A claim is in force when its call returns.
 */
import { EBADF } from "../base/errno.js";
import { ANY6, type IpAddress } from "../base/ip-address.js";
import { BpfMap, MapFlag, MapType } from "../sys/bpf-map.js";
import { failure } from "../sys/check.js";
import * as protocols from "../wire/ip-protocol.js";
import type { FlowFilter } from "./flow-filter.js";
import { COUNTER_BYTES, STEERING_COUNTERS, steeringCounter } from "./steering-counters.js";
import * as layout from "./steering-layout.js";
import { PORT_WORDS, SteeringPorts } from "./steering-ports.js";

export interface SteeringFilterOptions {
  /** Flows that can be claimed. 262,144 if absent; memory is taken as they come. */
  readonly maxFlows?: number;
  /** Ports and groups that can be claimed. 65,536 if absent. */
  readonly maxPorts?: number;
}

const DEFAULT_FLOWS = 262_144;
const DEFAULT_PORTS = 65_536;
/** Packets whose fragments are awaited at once; the one heard of longest ago gives way. */
const MAX_FRAGMENTED = 4096;
const MAX_ADDRESSES = 4096;

export class SteeringFilter implements FlowFilter {
  /** By the names that the program knows them by; for linking. */
  readonly maps: Readonly<Record<string, BpfMap>>;
  readonly counters: BpfMap;
  private readonly flows: Claims;
  private readonly ports: Claims;
  private readonly portBits: SteeringPorts;
  private readonly addresses: BpfMap;
  private readonly flowKey = new Uint8Array(layout.FLOW_KEY_BYTES);
  private readonly portKey = new Uint8Array(layout.PORT_KEY_BYTES);

  /** Claims nothing. Throws `NetError`: EPERM without privilege. */
  constructor(options: SteeringFilterOptions = {}) {
    const { maxFlows = DEFAULT_FLOWS, maxPorts = DEFAULT_PORTS } = options;
    const made: BpfMap[] = [];
    const make = (...args: Parameters<typeof createMap>): BpfMap => {
      const map = createMap(...args);
      made.push(map);
      return map;
    };
    const { ARRAY, HASH, LRU_HASH, PERCPU_ARRAY } = MapType;
    try {
      const flows = make(HASH, "mr_flows", layout.FLOW_KEY_BYTES, layout.VALUE_BYTES, maxFlows);
      const ports = make(HASH, "mr_ports", layout.PORT_KEY_BYTES, layout.VALUE_BYTES, maxPorts);
      const fragments = make(
        LRU_HASH,
        "mr_fragments",
        layout.FLOW_KEY_BYTES,
        layout.TIME_BYTES,
        MAX_FRAGMENTED,
      );
      this.addresses = make(
        HASH,
        "mr_addresses",
        layout.ADDRESS_BYTES,
        layout.VALUE_BYTES,
        MAX_ADDRESSES,
      );
      const portBits = make(ARRAY, "mr_port_bits", 4, 8, PORT_WORDS);
      this.counters = make(PERCPU_ARRAY, "mr_counters", 4, COUNTER_BYTES, STEERING_COUNTERS);
      this.flows = new Claims(flows);
      this.ports = new Claims(ports);
      this.portBits = new SteeringPorts(portBits);
      this.maps = {
        [layout.FLOWS_MAP]: flows,
        [layout.PORTS_MAP]: ports,
        [layout.PORT_BITS_MAP]: portBits,
        [layout.FRAGMENTS_MAP]: fragments,
        [layout.ADDRESSES_MAP]: this.addresses,
        [layout.COUNTERS_MAP]: this.counters,
      };
      this.setLocalAddresses(null);
    } catch (error) {
      for (const map of made) map.close();
      throw error;
    }
  }

  addFlow(
    protocol: number,
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
  ): number {
    layout.writeFlowKey(this.flowKey, protocol, local, localPort, remote, remotePort);
    const marked = this.portBits.mark(protocol, localPort);
    return marked < 0 ? marked : this.flows.add(this.flowKey, FLOWS);
  }

  removeFlow(
    protocol: number,
    local: IpAddress,
    localPort: number,
    remote: IpAddress,
    remotePort: number,
  ): void {
    layout.writeFlowKey(this.flowKey, protocol, local, localPort, remote, remotePort);
    this.flows.remove(this.flowKey);
  }

  addPort(protocol: number, local: IpAddress, localPort: number): number {
    layout.writePortKey(this.portKey, protocol, local, localPort);
    const marked = this.portBits.mark(protocol, localPort);
    return marked < 0 ? marked : this.ports.add(this.portKey, local.isMulticast ? GROUPS : PORTS);
  }

  removePort(protocol: number, local: IpAddress, localPort: number): void {
    layout.writePortKey(this.portKey, protocol, local, localPort);
    this.ports.remove(this.portKey);
  }

  addGroup(group: IpAddress, localPort: number): number {
    layout.writePortKey(this.portKey, protocols.UDP, group, localPort);
    const marked = this.portBits.mark(protocols.UDP, localPort);
    return marked < 0 ? marked : this.ports.add(this.portKey, GROUPS);
  }

  removeGroup(group: IpAddress, localPort: number): void {
    layout.writePortKey(this.portKey, protocols.UDP, group, localPort);
    this.ports.remove(this.portKey);
  }

  /**
   * Says which addresses (broadcast ones included) are the host's: a port that is claimed at any
   * address is claimed at these, so that what the kernel only routes is left to it. Null, as at the
   * start: every address. Throws `NetError`.
   */
  setLocalAddresses(addresses: readonly IpAddress[] | null): void {
    const wanted = new Map<string, Uint8Array>();
    for (const address of addresses ?? [ANY6]) {
      const key = new Uint8Array(layout.ADDRESS_BYTES);
      address.write6(key, 0);
      if (addresses === null || !address.isUnspecified) wanted.set(latin1(key), key);
    }
    const old = this.addresses.keys();
    // Added before others are removed: no address that stays is missing for a moment.
    for (const key of wanted.values()) {
      const result = this.addresses.update(key, VALUE_ONE);
      if (result < 0) throw failure(result, "bpf BPF_MAP_UPDATE_ELEM mr_addresses");
    }
    for (const key of old) if (!wanted.has(latin1(key))) this.addresses.delete(key);
  }

  /** Frees the maps; claims are refused with -EBADF from now on. Idempotent. */
  close(): void {
    for (const map of Object.values(this.maps)) map.close();
  }
}

const FLOWS: number = steeringCounter("flows");
const PORTS: number = steeringCounter("ports");
const GROUPS: number = steeringCounter("groups");
const VALUE_ONE: Uint8Array = new Uint8Array(Int32Array.of(1).buffer);

const latin1 = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("latin1");

function createMap(
  type: number,
  name: string,
  keyBytes: number,
  valueBytes: number,
  maxEntries: number,
): BpfMap {
  const flags = type === MapType.HASH ? MapFlag.NO_PREALLOC : 0;
  return BpfMap.create({ type, name, keyBytes, valueBytes, maxEntries, flags });
}

/** Keys of one map, each with the number of claims to it. */
class Claims {
  private readonly map: BpfMap;
  private readonly counts = new Map<string, number>();
  private readonly value = new Int32Array(1);
  private readonly valueBytes = new Uint8Array(this.value.buffer);

  constructor(map: BpfMap) {
    this.map = map;
  }

  /** 0 or a negative error number. */
  add(key: Uint8Array, counter: number): number {
    const text = latin1(key);
    const count = this.counts.get(text) ?? 0;
    if (count > 0 && this.map.fd < 0) return -EBADF;
    if (count === 0) {
      this.value[0] = counter;
      const result = this.map.update(key, this.valueBytes);
      if (result < 0) return result;
    }
    this.counts.set(text, count + 1);
    return 0;
  }

  /** Nothing happens for what is not claimed. */
  remove(key: Uint8Array): void {
    const text = latin1(key);
    const count = this.counts.get(text);
    if (count === undefined) return;
    if (count > 1) {
      this.counts.set(text, count - 1);
      return;
    }
    this.counts.delete(text);
    this.map.delete(key);
  }
}
