/** What a memif device counts beyond what every device does: how the link fares, and bad input. */
import { Counters } from "../base/counters.js";

export const MEMIF_COUNTERS = {
  connects: "Times that the link came up.",
  disconnects: "Times that a link that was up went down, for whatever reason.",
  refusals: "Attempts to connect that this end or the peer refused, or that came to nothing.",
  lostFrames: "Frames in the rings when the link went down; they are lost.",
  events: "Times that the peer was woken by an event because it did not poll.",
  badIndex: "Ring indices of the peer that no ring could have; each ends the link.",
  badRegion: "Descriptors that named a region that there is none of; the frame is dropped.",
  badRange: "Descriptors that named a place outside their region; the frame is dropped.",
  badLength: "Frames shorter than an Ethernet header or longer than any slot; dropped.",
  badChain: "Frames of several descriptors that did not end, or in a place of no use; dropped.",
  badOffload: "Frames whose checksum or segmentation request made no sense; dropped.",
} as const;
export type MemifCounter = keyof typeof MEMIF_COUNTERS;

const NAMES = Object.keys(MEMIF_COUNTERS) as MemifCounter[];
const at = (name: MemifCounter): number => NAMES.indexOf(name);

/** Indices in {@link MEMIF_COUNTERS}. */
export const Count = {
  CONNECTS: at("connects"),
  DISCONNECTS: at("disconnects"),
  REFUSALS: at("refusals"),
  LOST_FRAMES: at("lostFrames"),
  EVENTS: at("events"),
  BAD_INDEX: at("badIndex"),
  BAD_REGION: at("badRegion"),
  BAD_RANGE: at("badRange"),
  BAD_LENGTH: at("badLength"),
  BAD_CHAIN: at("badChain"),
  BAD_OFFLOAD: at("badOffload"),
} as const;

export const memifCounters = (component: string): Counters<MemifCounter> =>
  new Counters(component, MEMIF_COUNTERS);
