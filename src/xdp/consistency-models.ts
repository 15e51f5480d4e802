/** The consistency models by name, and which one suits a map. */
import type { MapModel, ModelPlace } from "./consistency.js";
import { isAddOnly, isReadOnly, type MapUse } from "./map-use.js";
import { DeltaModel } from "./model-deltas.js";
import { FlowOwnedModel } from "./model-flow-owned.js";
import { HostOnlyModel } from "./model-host-only.js";
import { NicOwnedModel } from "./model-nic-owned.js";
import { PerCpuModel } from "./model-per-cpu.js";
import { EpochModel, ReplicatedModel } from "./model-replicated.js";

export const MODEL_NAMES = [
  "per-cpu",
  "replicated",
  "epochs",
  "nic-owned",
  "flow-owned",
  "deltas",
  "host-only",
] as const;
export type ModelName = (typeof MODEL_NAMES)[number];

export function makeModel(name: ModelName, place: ModelPlace): MapModel {
  switch (name) {
    case "per-cpu":
      return new PerCpuModel(place);
    case "replicated":
      return new ReplicatedModel(place);
    case "epochs":
      return new EpochModel(place);
    case "nic-owned":
      return new NicOwnedModel(place);
    case "flow-owned":
      return new FlowOwnedModel(place);
    case "deltas":
      return new DeltaModel(place);
    case "host-only":
      return new HostOnlyModel(place);
  }
}

/** The models under which a map means what it means in the kernel; the first one sends the least. */
export function modelsFor(use: MapUse): readonly ModelName[] {
  if (use.isPerCpu) return ["per-cpu"];
  if (isReadOnly(use)) return ["epochs", "replicated", "nic-owned", "host-only"];
  if (use.locks) return ["host-only"];
  if (isAddOnly(use)) return ["deltas", "flow-owned", "nic-owned", "host-only"];
  return ["flow-owned", "nic-owned", "host-only"];
}
