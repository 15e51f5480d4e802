/**
 * Cases that are about real time, on a machine that others may use: many run at once, as most of them wait. One
 * that fails may have been kept from the processor, by the others, too; so it is tried again when all have had
 * their first turn, alone, with more tolerance. What fails each time is wrong.
 */
import { describe, test } from "node:test";

const AT_ONCE = 8;
const ATTEMPTS = 6;

export interface RealTimeCase {
  readonly name: string;
  /** `attempt`: from 1 on. */
  run(attempt: number): Promise<void>;
}

/** At most so many at once, in the order in which they come. */
class Gate {
  private free: number;
  private readonly waiting: (() => void)[] = [];

  constructor(places: number) {
    this.free = places;
  }

  async pass(job: () => Promise<void>): Promise<void> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.waiting.push(resolve));
    try {
      await job();
    } finally {
      const next = this.waiting.shift();
      if (next === undefined) this.free++;
      else next();
    }
  }
}

/** A test for each. */
export function testInRealTime(name: string, cases: readonly RealTimeCase[]): void {
  const [together, alone] = [new Gate(AT_ONCE), new Gate(1)];
  let fresh = cases.length;
  let allHaveHadOne: () => void = () => {};
  const firstTurns = new Promise<void>((resolve) => {
    allHaveHadOne = resolve;
  });
  const first = async (one: RealTimeCase): Promise<boolean> => {
    let isRight = false;
    await together.pass(async () => {
      isRight = await one.run(1).then(
        () => true,
        () => false,
      );
    });
    fresh--;
    if (fresh === 0) allHaveHadOne();
    return isRight;
  };
  const again = async (one: RealTimeCase): Promise<void> => {
    for (let attempt = 2; ; attempt++) {
      try {
        return await one.run(attempt);
      } catch (error) {
        if (attempt === ATTEMPTS) throw error;
      }
    }
  };
  describe(name, { concurrency: cases.length + 1 }, () => {
    for (const one of cases) {
      test(one.name, async () => {
        if (await first(one)) return;
        await firstTurns;
        await alone.pass(() => again(one));
      });
    }
  });
}
