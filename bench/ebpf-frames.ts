/** The packet of the eBPF scenarios, and the map entries that it meets. */

export interface Flow {
  readonly saddr: readonly number[];
  readonly daddr: readonly number[];
  readonly sport: number;
  readonly dport: number;
}

export const EBPF_FLOW: Flow = {
  saddr: [10, 0, 0, 1],
  daddr: [10, 1, 0, 1],
  sport: 4000,
  dport: 80,
};

const TCP = 6;

/** A TCP segment in 64 bytes. */
export function ebpfFrame(flow: Flow): Uint8Array {
  const frame = new Uint8Array(64);
  const view = new DataView(frame.buffer);
  view.setUint16(12, 0x0800);
  view.setUint8(14, 0x45);
  view.setUint16(16, 50);
  view.setUint8(22, 64);
  view.setUint8(23, TCP);
  frame.set(flow.saddr, 26);
  frame.set(flow.daddr, 30);
  view.setUint16(34, flow.sport);
  view.setUint16(36, flow.dport);
  view.setUint8(46, 0x50);
  return frame;
}

export interface BenchEntry {
  readonly map: string;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const word = (n: number): Uint8Array => new Uint8Array(Uint32Array.of(n).buffer);
const port = (n: number): number[] => [n >> 8, n & 255];

/** Tables as full as in use: 10,000 flows; one service, whose server has its own address. */
export function ebpfEntries(program: string): BenchEntry[] {
  if (program === "five_tuple") {
    return Array.from({ length: 10_000 }, (_, n) => ({
      map: "blocked",
      key: Uint8Array.from([
        10,
        9,
        n >> 8,
        n & 255,
        10,
        1,
        0,
        1,
        ...port(n),
        ...port(80),
        TCP,
        0,
        0,
        0,
      ]),
      value: word(1),
    }));
  }
  if (program !== "balancer") return [];
  const { daddr, dport } = EBPF_FLOW;
  return [
    { map: "services", key: Uint8Array.from([...daddr, ...port(dport), TCP, 0]), value: word(0) },
    { map: "servers", key: word(0), value: Uint8Array.from([...daddr, 2, 0, 0, 0, 0, 9, 0, 0]) },
  ];
}
