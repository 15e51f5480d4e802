/**
 * Who hears that a socket may have new readiness: the socket layer. It notes the number and looks
 * later; it must not call back.
 */
export interface ReadinessSink {
  /** Hot path. The socket with this cookie may be readable, writable or in error. */
  changed(cookie: number): void;
}

/** Nobody listens. */
export const NO_SINK: ReadinessSink = { changed: () => {} };
