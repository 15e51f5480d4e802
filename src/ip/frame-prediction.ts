/**
 * What a transport may put in front of the general path for frames that come alone: it recognises a
 * packet of a flow that it knows from the frame itself. One transport can: TCP, by
 * `socket/tcp-prediction.ts`; UDP's is part of `ip` (`udp-prediction.ts`).
 */
import type { Interface } from "./interface.js";

export interface FramePrediction {
  /** Hot path. Takes the frame that begins at `at`; false: it is untouched. */
  take(iface: Interface, slot: number, at: number, nowUs: number): boolean;
  /** Addresses or interfaces changed. */
  forget(): void;
}

/** Takes nothing. */
export const NO_PREDICTION: FramePrediction = { take: () => false, forget() {} };
