/**
 * What the steering program did with the frames that it saw: one counter of each verdict's reason, in
 * a per-CPU array of the kernel's, so that counting costs the program one plain addition.
 */
import { Counters } from "../base/counters.js";
import type { BpfMap } from "../sys/bpf-map.js";
import { possibleCpus } from "../sys/bpf-map.js";

const DECLARED = {
  flows: "Frames of a claimed connection, given to Millrace.",
  ports: "Frames to a claimed port, given to Millrace.",
  groups: "Datagrams to a claimed group, given to Millrace.",
  errors: "ICMP errors about packets of a claimed flow or port, given to Millrace.",
  fragments: "Later fragments of a claimed packet, given to Millrace.",
  unclaimed: "TCP, UDP and ICMP errors that no claim matches, left to the kernel.",
  otherProtocols:
    "IP packets of other protocols, queries and answers of ICMP, and those behind IPv6 headers that the program does not follow, left to the kernel.",
  notIp: "Frames that are neither IPv4 nor IPv6 (ARP and the like), left to the kernel.",
  otherVlans: "Frames of a VLAN that is not steered, or with too many tags, left to the kernel.",
  unknownFragments:
    "Later fragments of packets that are not claimed, or whose first fragment was not seen before them, left to the kernel.",
  malformed: "Frames cut short, or with an impossible header, left to the kernel.",
  kernelFlows:
    "TCP segments, and ICMP errors, of connections that the kernel has at a claimed port, left to it.",
  noSocket: "Claimed frames that came to a queue without a socket of ours, left to the kernel.",
} as const;

export type SteeringCounterName = keyof typeof DECLARED;
export type SteeringCounters = Counters<SteeringCounterName>;

const NAMES = Object.keys(DECLARED) as SteeringCounterName[];

/** Entries of the kernel's array. */
export const STEERING_COUNTERS = NAMES.length;
/** Of one counter on one CPU. */
export const COUNTER_BYTES = 8;

/** Index of a counter in the kernel's array. */
export function steeringCounter(name: SteeringCounterName): number {
  return NAMES.indexOf(name);
}

/** All zero; {@link readSteeringCounters} fills them. */
export function createSteeringCounters(): SteeringCounters {
  return new Counters("steering", DECLARED);
}

/** Copies the kernel's counters, summed over the CPUs. 0 or a negative error number. */
export function readSteeringCounters(map: BpfMap, into: SteeringCounters): number {
  const value = new Uint8Array(map.bufferBytes);
  const words = new DataView(value.buffer);
  const key = new Int32Array(1);
  for (let i = 0; i < STEERING_COUNTERS; i++) {
    key[0] = i;
    const result = map.lookup(new Uint8Array(key.buffer), value);
    if (result < 0) return result;
    let sum = 0;
    for (let cpu = 0; cpu < possibleCpus(); cpu++) {
      sum += Number(words.getBigUint64(cpu * COUNTER_BYTES, true));
    }
    into.values[i] = sum;
  }
  return 0;
}
