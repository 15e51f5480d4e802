/** The processes that use an engine: they come, are woken for and wake it, and go. */
import { EINVAL } from "../base/errno.js";
import { NetError } from "../base/errors.js";
import { SessionFlag, SPIN_FOR_EVER } from "../ring/engine-layout.js";
import type { ProgramRules } from "../socket/rules.js";
import { PollSet } from "../sys/poll-set.js";
import type { Profile } from "./config.js";
import type { OwnRules, RulesOf } from "./decision.js";
import type { Hello } from "./message.js";
import type { Network } from "./network.js";
import { spinOf } from "./profile.js";
import type { Regions } from "./region.js";
import { type Program, Session, type SessionSettings } from "./session.js";

export interface SessionsParts {
  readonly network: Network;
  readonly regions: Regions;
  readonly uid: number;
  readonly profile: Profile;
  /** How long to poll before sleeping, instead of what the profile says; null: that. */
  readonly spinUs: number | null;
  readonly rules: RulesOf;
  /** Loopback addresses go through Millrace. */
  readonly loopback: boolean;
  /** See `SessionSettings`. */
  readonly onStuck: (session: Session) => void;
}

/** Programs whose wakes are taken at a time. */
const WAKES = 64;

export class Sessions {
  readonly list: Session[] = [];
  private readonly parts: SessionsParts;
  /** What programs write to while the engine sleeps. */
  private readonly wakes = new PollSet();
  private readonly woken = new Int32Array(2 * WAKES);
  private nextId = 1;
  private routes = 0;
  private cpu = -1;

  constructor(parts: SessionsParts) {
    this.parts = parts;
  }

  /** A process says HELLO. Throws `NetError`. */
  begin(hello: Hello, pid: number, controlFd: number, own: OwnRules): Session {
    const { network } = this.parts;
    const home = network.enterHome(hello.address);
    try {
      const program = this.programOf(hello, pid);
      const rules = rulesFor(this.parts.rules, program, own);
      const settings = this.settingsOf(hello);
      const { regions } = this.parts;
      const id = this.nextId++;
      const session = new Session(id, program, controlFd, regions, home, settings, rules);
      try {
        this.wakes.addEdge(session.wakeFd);
      } catch (error) {
        session.close();
        throw error;
      }
      session.setRoutes(this.routes);
      session.setCpu(this.cpu);
      this.list.push(session);
      return session;
    } catch (error) {
      network.leaveHome(hello.address);
      throw error;
    }
  }

  areNewRules(file: string, text: string): boolean {
    return this.parts.rules.isNew(file, text);
  }

  private programOf(hello: Hello, pid: number): Program {
    return {
      pid,
      uid: this.parts.uid,
      name: hello.program,
      applicationId: hello.applicationId,
      address: hello.address,
      rules: hello.rules,
      profile: hello.profile === "" ? this.parts.profile : hello.profile,
    };
  }

  private settingsOf(hello: Hello): SessionSettings {
    const { profile, spinUs, loopback, onStuck } = this.parts;
    return {
      spinUs: spinOf(hello.profile, hello.spinUs, profile, spinUs),
      yields: true,
      flags: loopback || hello.loopback ? SessionFlag.LOOPBACK : 0,
      onStuck,
    };
  }

  /** A process is gone, and its sockets have let it go. */
  end(session: Session): void {
    this.list.splice(this.list.indexOf(session), 1);
    this.parts.network.leaveHome(session.program.address);
    this.wakes.remove(session.wakeFd);
    session.close();
  }

  /** Programs that know where a datagram goes must ask again. */
  setRoutes(version: number): void {
    this.routes = version;
    for (const session of this.list) session.setRoutes(version);
  }

  /** Hot path. The engine is on this processor, negative: nobody knows. Programs that wait leave it alone. */
  setCpu(cpu: number): void {
    const known = cpu < 0 ? -1 : cpu;
    if (known === this.cpu) return;
    this.cpu = known;
    for (const session of this.list) session.setCpu(this.cpu);
  }

  /** How long to poll without work: the longest that a session with sockets wants. */
  get spinUs(): number {
    let longest = 0;
    for (const session of this.list) {
      if (session.socketCount > 0 && session.spinUs > longest) longest = session.spinUs;
    }
    return longest === SPIN_FOR_EVER ? Number.POSITIVE_INFINITY : longest;
  }

  /** Readable when a program has woken the engine since {@link endSleep}. */
  get wakeFd(): number {
    return this.wakes.fd;
  }

  /** Tells programs to write to their wake descriptors; false when there is work after all. */
  prepareSleep(): boolean {
    for (const session of this.list) session.setEngineSleeps(true);
    for (const session of this.list) if (session.hasSubmissionNow) return false;
    return true;
  }

  endSleep(): void {
    for (const session of this.list) session.setEngineSleeps(false);
    while (this.wakes.take(this.woken, WAKES) === WAKES) {}
  }

  /** The sessions have ended. */
  close(): void {
    this.wakes.close();
  }
}

/** Throws `NetError` with what is wrong with the file of rules. */
function rulesFor(rules: RulesOf, program: Program, own: OwnRules): ProgramRules {
  try {
    return rules(program, own);
  } catch (error) {
    throw new NetError(EINVAL, { syscall: "rules", hint: (error as Error).message, cause: error });
  }
}
