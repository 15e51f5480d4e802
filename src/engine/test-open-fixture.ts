/** The message that opens a socket, as a program writes it: for tests and fuzzing. */
import { fstatSync } from "node:fs";
import { IpAddress } from "../base/ip-address.js";
import { Msg, OPEN_BYTES, OPTION_BYTES, OpenAt, OptionAt } from "../ring/engine-layout.js";
import { Family } from "../socket/linux-options.js";
import { Companion } from "./message.js";
import { writeAddress } from "./shared-address.js";

type Option = readonly [level: number, option: number, value: number | Uint8Array];

export interface OpenOptions {
  readonly kind: number;
  /** `OpenedFor`. */
  readonly at: number;
  readonly family?: number;
  readonly own?: string;
  readonly ownPort?: number;
  readonly peer?: string;
  readonly peerPort?: number;
  readonly companionFd?: number;
  /** Why nothing comes along. */
  readonly nothingComes?: string;
  readonly options?: readonly Option[];
}

/** MR_MSG_OPEN. `endFd`: the program's end of the pair; -1: a parked one. */
export function openRequest(o: OpenOptions, local: number, endFd: number): Uint8Array {
  const options = Buffer.concat((o.options ?? []).map(optionRecord));
  const request = new Uint8Array(OPEN_BYTES + options.length);
  const view = new DataView(request.buffer);
  const family = o.family ?? Family.INET;
  view.setUint32(OpenAt.type, Msg.OPEN, true);
  view.setUint32(OpenAt.local, local, true);
  view.setUint16(OpenAt.kind, o.kind, true);
  view.setUint16(OpenAt.family, family, true);
  view.setUint32(OpenAt.at, o.at, true);
  view.setInt32(OpenAt.fd, endFd, true);
  const comes = o.companionFd === undefined ? Companion.NONE : Companion.HEARS;
  const companion = o.nothingComes === undefined ? comes : Companion.NOTHING_COMES;
  view.setUint32(OpenAt.hasCompanion, companion, true);
  if (o.own !== undefined) {
    writeAddress(view, OpenAt.own, family, IpAddress.parse(o.own), o.ownPort ?? 0, 0);
  }
  if (o.peer !== undefined) {
    writeAddress(view, OpenAt.peer, family, IpAddress.parse(o.peer), o.peerPort ?? 0, 0);
  }
  const inode = endFd < 0 ? 0 : fstatSync(endFd).ino;
  view.setBigUint64(OpenAt.endInode, BigInt(inode), true);
  view.setUint32(OpenAt.optionsBytes, options.length, true);
  request.set(Buffer.from(o.nothingComes ?? ""), OpenAt.reason);
  request.set(options, OPEN_BYTES);
  return request;
}

function optionRecord([level, option, value]: Option): Uint8Array {
  const bytes = typeof value === "number" ? new Uint8Array(Int32Array.of(value).buffer) : value;
  const record = new Uint8Array(OPTION_BYTES + ((bytes.length + 3) & ~3));
  const view = new DataView(record.buffer);
  view.setInt32(OptionAt.level, level, true);
  view.setInt32(OptionAt.option, option, true);
  view.setUint32(OptionAt.bytes, bytes.length, true);
  record.set(bytes, OPTION_BYTES);
  return record;
}
