/**
 * A mix of many flows out of capture files, each of which has one or few: packets of as many files as asked
 * take turns by chance, each file's in its order; where one ends another begins. The same for a seed.
 */
import type { Random } from "../base/random.js";

/** Files that take turns. */
const AT_A_TIME = 64;

export interface MixOptions {
  readonly atATime?: number;
}

/** `count` packets; `files` are the packets of each file. Files without packets are left out. */
export function mixTraffic(
  files: readonly (readonly Uint8Array[])[],
  count: number,
  random: Random,
  { atATime = AT_A_TIME }: MixOptions = {},
): Uint8Array[] {
  const usable = files.filter((packets) => packets.length > 0);
  if (usable.length === 0) return [];
  const open = Array.from({ length: Math.min(atATime, usable.length) }, () => ({
    packets: usable[random.below(usable.length)]!,
    next: 0,
  }));
  return Array.from({ length: count }, () => {
    const turn = random.below(open.length);
    let file = open[turn]!;
    if (file.next === file.packets.length) {
      file = { packets: usable[random.below(usable.length)]!, next: 0 };
      open[turn] = file;
    }
    return file.packets[file.next++]!;
  });
}
