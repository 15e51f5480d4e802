/** What Node's own modules throw at misuse: programs look at the codes. */

/** An error of Node's, with its code and words. */
export function nodeError(code: string, message: string, Kind = Error): NodeJS.ErrnoException {
  return Object.assign(new Kind(message), { code });
}

/** A port from `least` on; throws `RangeError` ERR_SOCKET_BAD_PORT. */
export function portOf(value: unknown, least: 0 | 1): number {
  const isText = typeof value === "string" && value.trim() !== "";
  const port = typeof value === "number" || isText ? Number(value) : Number.NaN;
  if (Number.isInteger(port) && port >= least && port <= 65_535) return port;
  const bound = least === 0 ? ">=" : ">";
  const given = value === undefined ? "undefined" : `type ${typeof value} (${String(value)})`;
  const message = `Port should be ${bound} 0 and < 65536. Received ${given}.`;
  throw nodeError("ERR_SOCKET_BAD_PORT", message, RangeError);
}
