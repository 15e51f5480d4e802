/**
 * The steering program in this kernel without an interface: frames are run through it by
 * BPF_PROG_TEST_RUN. Redirecting finds a device instead of a socket, which is the same to a program.
 */
import type { IpAddress } from "../../src/base/ip-address.js";
import {
  createSteeringCounters,
  readSteeringCounters,
  type SteeringCounters,
} from "../../src/nic/steering-counters.js";
import { SteeringFilter } from "../../src/nic/steering-filter.js";
import { steeringProgram } from "../../src/nic/steering-program.js";
import { loadXdp } from "../../src/nic/xdp-attach.js";
import { XdpVerdict } from "../../src/nic/xdp-context.js";
import { linkSteering } from "../../src/nic/xdp-program.js";
import { BpfMap, MapType } from "../../src/sys/bpf-map.js";
import { type TestRun, testRun } from "../../src/sys/bpf-program.js";
import { closeFd } from "../../src/sys/fd.js";
import { flowText, hex, portText, type Steered, SteeringModel } from "./steering-model.js";

const TCP = 6;
const LOOPBACK_INDEX = 1;
const word = (value: number): Uint8Array => new Uint8Array(Int32Array.of(value).buffer);

/** Longer than any test: the model knows no time. */
const FOR_EVER_NS = 3_600_000_000_000n;

/** `isServed`: whether queue 0 has somewhere to redirect to. */
export class SteeringRun {
  readonly filter = new SteeringFilter();
  readonly model: SteeringModel;
  private readonly programFd: number;
  private readonly targets: BpfMap;
  private readonly out = new Uint8Array(16_384);

  constructor(vlan: readonly number[] = [], isServed = true, fragmentLifeNs = FOR_EVER_NS) {
    this.model = new SteeringModel(vlan);
    const type = MapType.DEVMAP;
    this.targets = BpfMap.create({
      type,
      keyBytes: 4,
      valueBytes: 4,
      maxEntries: 4,
      name: "mr_to",
    });
    if (isServed) this.targets.update(word(0), word(LOOPBACK_INDEX));
    const code = linkSteering(steeringProgram({ vlan, fragmentLifeNs }), this.filter, this.targets);
    this.programFd = loadXdp(code, "millrace_test", true);
  }

  /** What the program in the kernel does with a frame of at least 14 bytes. */
  isTaken(frame: Uint8Array): boolean {
    return this.run(frame).verdict === XdpVerdict.REDIRECT;
  }

  run(frame: Uint8Array, repeat = 1): TestRun {
    return testRun(this.programFd, frame, this.out, null, repeat);
  }

  /** What the last frame looks like now. */
  left(lengthBytes: number): Uint8Array {
    return this.out.subarray(0, lengthBytes);
  }

  expected(frame: Uint8Array): Steered {
    return this.model.steer(frame);
  }

  get counters(): SteeringCounters {
    const counters = createSteeringCounters();
    readSteeringCounters(this.filter.counters, counters);
    return counters;
  }

  claimFlow(protocol: number, local: IpAddress, port: number, remote: IpAddress, rPort: number) {
    this.model.flows.add(flowText(protocol, modelText(local), port, modelText(remote), rPort));
    return this.filter.addFlow(protocol, local, port, remote, rPort);
  }

  releaseFlow(protocol: number, local: IpAddress, port: number, remote: IpAddress, rPort: number) {
    this.model.flows.delete(flowText(protocol, modelText(local), port, modelText(remote), rPort));
    this.filter.removeFlow(protocol, local, port, remote, rPort);
  }

  claimPort(protocol: number, local: IpAddress, port: number): number {
    this.model.ports.add(portText(protocol, modelText(local), port));
    return this.filter.addPort(protocol, local, port);
  }

  releasePort(protocol: number, local: IpAddress, port: number): void {
    this.model.ports.delete(portText(protocol, modelText(local), port));
    this.filter.removePort(protocol, local, port);
  }

  /** Tells the model of a TCP connection that the kernel of this namespace has; its other end is another. */
  kernelHas(local: IpAddress, port: number, remote: IpAddress, rPort: number): void {
    this.model.kernelFlows.add(flowText(TCP, modelText(local), port, modelText(remote), rPort));
  }

  setLocalAddresses(addresses: readonly IpAddress[] | null): void {
    this.model.addresses = addresses === null ? null : new Set(addresses.map(modelText));
    this.filter.setLocalAddresses(addresses);
  }

  close(): void {
    closeFd(this.programFd);
    this.targets.close();
    this.filter.close();
  }
}

/** An address as the model writes it. */
export function modelText(address: IpAddress): string {
  const bytes = new Uint8Array(16);
  address.write6(bytes, 0);
  return hex(address.isV4 ? bytes.subarray(12) : bytes);
}
