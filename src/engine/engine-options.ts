/** What an engine is made of. */
import type { Pool } from "../ring/pool.js";
import type { Profile } from "./config.js";
import type { RulesOf } from "./decision.js";
import type { NetworkNic } from "./network.js";
import type { RingSettings } from "./opening.js";
import type { EnginePaths } from "./socket-path.js";
import type { Tell } from "./troubles.js";

export interface EngineOptions {
  /** Where frames and the programs' memory lie; taken. */
  readonly pool: Pool;
  readonly nowUs: number;
  /** None: the host-local network. Their devices are taken. */
  readonly nics: readonly NetworkNic[];
  /** The machine's address on the host-local network. */
  readonly network: string;
  readonly paths: EnginePaths;
  readonly profile: Profile;
  /** How long to poll before sleeping, instead of what the profile says; null: that. */
  readonly spinUs: number | null;
  readonly rules: RulesOf;
  /** Loopback addresses go through Millrace. */
  readonly loopback: boolean;
  readonly rings: RingSettings;
  /** Node's event loop is watched, too. False in tests that drive the engine themselves. */
  readonly watchLoop?: boolean;
  /** Hears what goes wrong. */
  readonly tell?: Tell;
  /** How many descriptors it may have; by default what the system says. */
  readonly mostFds?: number;
}
