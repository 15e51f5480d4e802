/** What a memif's numbers and secret may be. Loads no driver: whoever reads a configuration asks, too. */
import { SECRET_BYTES } from "./memif-message.js";
import { MAX_LOG2_SIZE, MIN_LOG2_SIZE } from "./memif-ring.js";

const RANGES = {
  id: [0, 0xffff_ffff],
  ringSize: [1 << MIN_LOG2_SIZE, 1 << MAX_LOG2_SIZE],
  mtuBytes: [68, 65_521],
  queuePairs: [1, 64],
} as const;

export interface MemifLimited {
  readonly id?: number;
  readonly ringSize?: number;
  readonly mtuBytes?: number;
  readonly queuePairs?: number;
  readonly secret?: string;
}

/** What is wrong with what is said, or "". */
export function whyNoMemif(said: MemifLimited): string {
  for (const name of Object.keys(RANGES) as (keyof typeof RANGES)[]) {
    const value = said[name];
    const [least, most] = RANGES[name];
    if (value === undefined || (Number.isInteger(value) && value >= least && value <= most))
      continue;
    return `memif: expected ${name} from ${least} to ${most}, got ${value}`;
  }
  const { ringSize = 2, secret = "" } = said;
  if (!Number.isInteger(Math.log2(ringSize))) {
    return `memif: expected a ringSize that is a power of two, got ${ringSize}`;
  }
  const isLong = Buffer.byteLength(secret, "latin1") > SECRET_BYTES;
  return isLong ? `memif: expected a secret of up to ${SECRET_BYTES} bytes` : "";
}
