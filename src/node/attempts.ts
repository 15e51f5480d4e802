/**
 * The addresses of a name one after the other, for `millrace/net`: `autoSelectFamily` as Node has it (RFC 8305,
 * with one attempt at a time), and block lists.
 */
import { type BlockList, isIP } from "node:net";
import { clearTimeout, setTimeout } from "../base/timers.js";

export interface Address {
  readonly address: string;
  readonly family: number;
}

/** An attempt to connect, which may be given up. */
export interface Attempt {
  cancel(): void;
}

/** Told how an attempt ended; not when it was given up. */
type Ended<C> = (error: Error | null, connection: C | null) => void;

export interface AttemptOptions<C> {
  readonly addresses: readonly Address[];
  readonly port: number;
  /** How long each but the last may take. */
  readonly timeoutMs: number;
  readonly blockList: BlockList | undefined;
  open(address: string, ended: Ended<C>): Attempt;
  /** `connectionAttempt`, `connectionAttemptFailed`, `connectionAttemptTimeout` and what they tell. */
  tell(event: string, address: Address, error?: Error): void;
  ended: Ended<C>;
}

/** Families in turn, beginning with that of the first: what is resolved may not be reachable by one. */
export function inTurn(addresses: readonly Address[]): Address[] {
  const first = addresses[0]?.family;
  const one = addresses.filter(({ family }) => family === first);
  const other = addresses.filter(({ family }) => family !== first);
  const out: Address[] = [];
  for (let i = 0; i < Math.max(one.length, other.length); i++) {
    for (const list of [one, other]) if (i < list.length) out.push(list[i]!);
  }
  return out;
}

/** Why the list forbids the address, or null. */
export function blockedBy(list: BlockList | undefined, address: string): Error | null {
  if (list === undefined || !list.check(address, isIP(address) === 6 ? "ipv6" : "ipv4"))
    return null;
  const error = new Error(`IP(${address}) is blocked by net.BlockList`);
  return Object.assign(error, { code: "ERR_IP_BLOCKED" });
}

/** Tries until one connects; then, or when none is left, tells how it ended. */
export function tryInTurn<C>(options: AttemptOptions<C>): Attempt {
  const { addresses, ended } = options;
  const errors: Error[] = [];
  let underWay: Attempt | null = null;
  let timer: NodeJS.Timeout | null = null;
  let isOver = false;
  /** The attempt under way, -1 when there is none. */
  let current = -1;

  const settle = (): void => {
    if (timer !== null) clearTimeout(timer);
    timer = null;
    underWay = null;
    current = -1;
  };
  const failed = (i: number, error: Error, event: string): void => {
    settle();
    errors.push(error);
    options.tell(event, addresses[i]!, event.endsWith("Failed") ? error : undefined);
    if (!isOver) next(i + 1);
  };
  const next = (i: number): void => {
    const to = addresses[i];
    if (to === undefined) {
      isOver = true;
      ended(allOf(errors), null);
      return;
    }
    options.tell("connectionAttempt", to);
    if (isOver) return;
    const blocked = blockedBy(options.blockList, to.address);
    if (blocked !== null) {
      failed(i, blocked, "connectionAttemptFailed");
      return;
    }
    if (i < addresses.length - 1) {
      timer = setTimeout(() => {
        underWay?.cancel();
        failed(i, timedOut(to, options.port), "connectionAttemptTimeout");
      }, options.timeoutMs);
    }
    current = i;
    underWay = options.open(to.address, (error, connection) => {
      if (current !== i) return; // given up
      if (error !== null) {
        failed(i, error, "connectionAttemptFailed");
        return;
      }
      settle();
      isOver = true;
      ended(null, connection);
    });
  };
  next(0);
  return {
    cancel: () => {
      isOver = true;
      underWay?.cancel();
      settle();
    },
  };
}

/** The one error, or all of them with the first one's code. */
function allOf(errors: readonly Error[]): Error {
  if (errors.length === 1) return errors[0]!;
  const all = new AggregateError(errors, "");
  return Object.assign(all, { code: (errors[0] as NodeJS.ErrnoException | undefined)?.code });
}

function timedOut({ address }: Address, port: number): Error {
  const error = new Error(`connect ETIMEDOUT ${address}:${port}`);
  return Object.assign(error, {
    code: "ETIMEDOUT",
    errno: -110,
    syscall: "connect",
    address,
    port,
  });
}
