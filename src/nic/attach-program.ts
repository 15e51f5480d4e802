/** Puts an XDP program of an object in front of a device, its maps beside the frames in the arena. */
import { EINVAL } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { XdpInstance, type XdpOptions } from "../ebpf/instance.js";
import { LinearMemory } from "../ebpf/linear-memory.js";
import type { BpfObject } from "../ebpf/object.js";
import { type Arena, PAGE_BYTES } from "../ring/arena.js";
import type { Pool } from "../ring/pool.js";
import type { Device } from "./device.js";
import type { FrameProgram } from "./frame-program.js";
import { ProgramDevice, type ProgramDeviceOptions } from "./program-device.js";

export interface AttachOptions extends ProgramDeviceOptions, Omit<XdpOptions, "memory"> {
  /** What runs the opened program in its place: its traces (`TracedProgram` of xdp/). */
  readonly wrap?: (instance: XdpInstance) => FrameProgram;
}

/** A device with a program in front, and the program's maps. */
export class AttachedProgram extends ProgramDevice {
  readonly instance: XdpInstance;
  private giveBack: () => void;

  constructor(
    device: Device,
    pool: Pool,
    instance: XdpInstance,
    options: AttachOptions,
    giveBack: () => void,
  ) {
    super(device, pool, options.wrap?.(instance) ?? instance, options);
    this.instance = instance;
    this.giveBack = giveBack;
  }

  override close(): void {
    super.close();
    this.giveBack();
    this.giveBack = () => {};
  }
}

/**
 * Verifies and compiles a program and puts it in front of a device, which is the result's from then on.
 * Compiled to WebAssembly unless the options say otherwise. Throws `EbpfError`: EACCES is the verifier's,
 * ENOTSUP names what the program needs and this engine does not have; `NetError` EINVAL for a pool on a
 * caller's buffer or without room for the maps.
 */
export function attachProgram(
  device: Device,
  pool: Pool,
  object: BpfObject,
  options: AttachOptions = {},
): AttachedProgram {
  const { arena } = pool.memory;
  const needed = Math.ceil(XdpInstance.neededBytes(object, options) / PAGE_BYTES) * PAGE_BYTES;
  const at = arena.memory === null ? -1 : arena.lend(needed);
  if (at < 0) throw noRoom(device, arena, needed);
  const giveBack = (): void => arena.takeBack(at);
  try {
    clear(new Int32Array(arena.buffer, at, needed >> 2));
    const memory = new LinearMemory(arena.memory!, at, at + needed);
    const instance = XdpInstance.open(object, { engine: "wasm", ...options, memory });
    return new AttachedProgram(device, pool, instance, options, giveBack);
  } catch (error) {
    giveBack();
    throw error;
  }
}

const PIECE_WORDS = 16_384;

/** Looks first: pages that were never used take no memory as long as nobody writes to them. */
function clear(words: Int32Array): void {
  for (let from = 0; from < words.length; from += PIECE_WORDS) {
    const piece = words.subarray(from, from + PIECE_WORDS);
    if (piece.some((word) => word !== 0)) piece.fill(0);
  }
}

function noRoom(device: Device, arena: Arena, needed: number): NetError {
  const hint =
    arena.memory === null
      ? "the pool lies on a buffer that the caller gave; expected one of createPool()"
      : `its maps need ${needed} bytes beside the frames, and the pool's arena has ${arena.freeBytes} left; give createPool() more peerBytes`;
  return new NetError(EINVAL, { syscall: `attach to ${device.name}`, hint });
}
