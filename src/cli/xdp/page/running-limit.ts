/** The limit is looked at so many times. */
const TICKS = 20;

/**
 * Calls `onPassed`, again and again, when so much time has passed while this process ran: one that was suspended, or
 * had no processor, would otherwise find that the limit has passed before it finds the answer. `clearInterval` ends it.
 */
export function runningLimit(limitMs: number, onPassed: () => void): NodeJS.Timeout {
  let left = Math.min(TICKS, limitMs);
  return setInterval(() => {
    left--;
    if (left <= 0) onPassed();
  }, limitMs / TICKS);
}
