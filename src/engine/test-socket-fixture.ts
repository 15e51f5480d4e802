/** A socket as a program has it, without libc: for tests and fuzzing. */
import { IpAddress } from "../base/ip-address.js";
import { DATAGRAM_BYTES, DatagramAt, SocketAt } from "../ring/engine-layout.js";
import { closeFd } from "../sys/fd.js";
import { SharedAddress, writeAddress } from "./shared-address.js";
import type { TestClient } from "./test-client-fixture.js";
import type { Mapped } from "./test-mapping-fixture.js";

/** A datagram as a program gets it. */
export interface ClientDatagram {
  readonly data: Uint8Array;
  readonly from: string;
  readonly fromPort: number;
}

export class TestSocket {
  readonly client: TestClient;
  readonly local: number;
  readonly endFd: number;
  readonly family: number;
  /** Of the OPEN. */
  readonly result: number;
  readonly reason: string;
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly headerAt: number;
  companionFd = -1;

  constructor(
    client: TestClient,
    local: number,
    endFd: number,
    family: number,
    mapped: Mapped | null,
    headerAt: number,
    result: number,
    reason: string,
  ) {
    this.client = client;
    this.local = local;
    this.endFd = endFd;
    this.family = family;
    this.result = result;
    this.reason = reason;
    this.headerAt = headerAt;
    const { buffer, at, bytes } = mapped ?? { buffer: new ArrayBuffer(512), at: 0, bytes: 512 };
    this.words = new Int32Array(buffer, at, bytes >> 2);
    this.bytes = new Uint8Array(buffer, at, bytes);
    this.view = new DataView(buffer, at, bytes);
  }

  /** Word index of a field of the header. */
  at(field: number): number {
    return (this.headerAt + field) >> 2;
  }
  word(field: number): number {
    return Atomics.load(this.words, this.at(field));
  }
  get rxAt(): number {
    return this.word(SocketAt.rxAt);
  }
  get rxBytes(): number {
    return this.word(SocketAt.rxBytes);
  }
  get txAt(): number {
    return this.word(SocketAt.txAt);
  }
  get txBytes(): number {
    return this.word(SocketAt.txBytes);
  }
  get rxHead(): number {
    return this.word(SocketAt.rxHead);
  }
  get status(): number {
    return this.word(SocketAt.status);
  }
  get kind(): number {
    return this.view.getUint16(this.headerAt + SocketAt.kind, true);
  }

  takeError(): number {
    return Atomics.exchange(this.words, this.at(SocketAt.error), 0);
  }

  name(field: number): { address: string; port: number } {
    const a = new SharedAddress();
    a.read(this.view, this.headerAt + field);
    return { address: a.address.toString(), port: a.port };
  }

  submit(): void {
    if (Atomics.exchange(this.words, this.at(SocketAt.submitted), 1) === 0) {
      this.client.submit(this.local);
    }
  }

  setHead(head: number): void {
    Atomics.store(this.words, this.at(SocketAt.rxHead), head);
    if (Atomics.exchange(this.words, this.at(SocketAt.rxBlocked), 0) !== 0) this.submit();
  }

  /** Room in the ring to the engine. */
  get room(): number {
    return this.txBytes - (this.word(SocketAt.txTail) - this.word(SocketAt.txHead));
  }

  /** Sends as much of a stream as there is room for; how many bytes. */
  send(data: Uint8Array): number {
    const n = Math.min(data.length, this.room);
    const tail = this.word(SocketAt.txTail);
    for (let i = 0; i < n; i++) {
      this.bytes[this.txAt + ((tail + i) & (this.txBytes - 1))] = data[i]!;
    }
    Atomics.store(this.words, this.at(SocketAt.txTail), (tail + n) | 0);
    if (n < data.length) Atomics.store(this.words, this.at(SocketAt.noSpace), 1);
    this.submit();
    return n;
  }

  /** Takes what there is of a stream, at most `most` bytes. */
  receive(most = 1 << 20): Uint8Array {
    const head = this.rxHead;
    const n = Math.min(most, (this.word(SocketAt.rxTail) - head) | 0);
    const data = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      data[i] = this.bytes[this.rxAt + ((head + i) & (this.rxBytes - 1))]!;
    }
    this.setHead((head + n) | 0);
    return data;
  }

  /** Sends a datagram; false when there is no room. */
  sendTo(data: Uint8Array, peer: string | null, port = 0): boolean {
    const space = (DATAGRAM_BYTES + data.length + 63) & -64;
    if (this.room < space) {
      Atomics.store(this.words, this.at(SocketAt.noSpace), 1);
      this.submit();
      return false;
    }
    const tail = this.word(SocketAt.txTail);
    const mask = this.txBytes - 1;
    const at = this.txAt + (tail & mask);
    for (let i = 0; i < DATAGRAM_BYTES; i += 4) this.view.setInt32(at + i, 0);
    this.view.setUint32(at + DatagramAt.payloadBytes, data.length, true);
    if (peer !== null) {
      writeAddress(this.view, at + DatagramAt.peer, this.family, IpAddress.parse(peer), port, 0);
    }
    for (let i = 0; i < data.length; i++) {
      this.bytes[this.txAt + ((tail + DATAGRAM_BYTES + i) & mask)] = data[i]!;
    }
    Atomics.store(this.words, this.at(SocketAt.txTail), (tail + space) | 0);
    this.submit();
    return true;
  }

  receiveFrom(): ClientDatagram | null {
    const head = this.rxHead;
    if (this.word(SocketAt.rxTail) === head) return null;
    const mask = this.rxBytes - 1;
    const at = this.rxAt + (head & mask);
    const n = this.view.getUint32(at, true);
    const a = new SharedAddress();
    a.read(this.view, at + DatagramAt.peer);
    const data = new Uint8Array(n);
    for (let i = 0; i < n; i++) {
      data[i] = this.bytes[this.rxAt + ((head + DATAGRAM_BYTES + i) & mask)]!;
    }
    this.setHead((head + ((DATAGRAM_BYTES + n + 63) & -64)) | 0);
    return { data, from: a.address.toString(), fromPort: a.port };
  }

  call(
    op: number,
    args: readonly number[] = [],
    data: Uint8Array = new Uint8Array(0),
  ): { result: number; data: Uint8Array } {
    return this.client.call(op, this.local, args, data);
  }

  /** An operation whose data are an address. */
  callWith(op: number, address: string, port: number): number {
    const data = new Uint8Array(24);
    const view = new DataView(data.buffer);
    writeAddress(view, 0, this.family, IpAddress.parse(address), port, 0);
    return this.call(op, [], data).result;
  }

  /** As the last close(2): the program's end goes. */
  close(): void {
    closeFd(this.endFd);
  }
}
