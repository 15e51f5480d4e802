/**
 * Millrace's handles below a `net` and `dgram` that were loaded before: Node does so itself in a process with an
 * IPC channel (`fork`, cluster workers). They have taken the kernel's classes, so the classes' calls
 * that decide who carries a socket (`bind`, `connect`, `listen`) put Millrace's handle into the socket in the
 * place of theirs.
 *
 * | what Node calls                    | what happens                                             |
 * |------------------------------------|----------------------------------------------------------|
 * | `connect`, `bind` of a `net.Socket` | the handle of {@link TcpHandle} takes the kernel's place |
 * | `bind` for a server                | such a handle is bound, and waits                         |
 * | `listen` of that server            | it takes the kernel's place                              |
 * | `bind` of a `dgram.Socket`          | {@link UdpHandle} takes the kernel's place                |
 *
 * Handles that come from elsewhere (other processes, descriptors) are never asked these, and stay.
 */
import {
  binding,
  isBehindOurs,
  type NativeTcp,
  type NativeUdp,
  type Owner,
  ownerKey,
} from "./natives.js";
import { TcpHandle } from "./tcp-handle.js";
import { UdpHandle } from "./udp-handle.js";

const { TCP, constants } = binding("tcp_wrap");
const { UDP } = binding("udp_wrap");
const SOCKET = constants.SOCKET ?? 0;
const SERVER = constants.SERVER ?? 1;

/** Those that wait to take the place of a kernel's handle, with what it was told. */
const successors = new WeakMap<object, TcpHandle>();

/** The handle that was bound for a server which does not listen yet; undefined: the kernel's own is. */
export const successorOf = (handle: object): TcpHandle | undefined => successors.get(handle);

/** Call it once, when `net` or `dgram` has been loaded. */
export function installLate(): void {
  installTcp();
  installUdp();
}

function installTcp(): void {
  const native = TCP.prototype;
  const { bind, bind6, connect, connect6, listen, close } = native;
  const { setNoDelay, setKeepAlive, ref, unref, useUserBuffer, getsockname } = native;
  define(native, {
    bind(this: NativeTcp, ...to: [string, number, number?]): number {
      return isDecided(this) ? bind.apply(this, to) : binder(this).bind(...to);
    },
    bind6(this: NativeTcp, ...to: [string, number, number?]): number {
      return isDecided(this) ? bind6.apply(this, to) : binder(this).bind6(...to);
    },
    connect(this: NativeTcp, ...to: Parameters<NativeTcp["connect"]>): number {
      const next = isDecided(this) ? null : replace(this, SOCKET);
      return next === null ? connect.apply(this, to) : next.connect(...to);
    },
    connect6(this: NativeTcp, ...to: Parameters<NativeTcp["connect"]>): number {
      const next = isDecided(this) ? null : replace(this, SOCKET);
      return next === null ? connect6.apply(this, to) : next.connect6(...to);
    },
    listen(this: NativeTcp, backlog: number): number {
      const next = successors.has(this) ? replace(this, SERVER) : null;
      return next === null ? listen.call(this, backlog) : next.listen(backlog);
    },
    close(this: NativeTcp, done?: () => void): void {
      successors.get(this)?.close();
      successors.delete(this);
      close.call(this, done);
    },
    getsockname(this: NativeTcp, out: object): number {
      return successors.get(this)?.getsockname(out) ?? getsockname.call(this, out);
    },
    setNoDelay(this: NativeTcp, on: boolean): number {
      if (!isDecided(this)) successor(this, SOCKET).setNoDelay(on);
      return setNoDelay.call(this, on);
    },
    setKeepAlive(this: NativeTcp, ...how: Parameters<NativeTcp["setKeepAlive"]>): number {
      if (!isDecided(this)) successor(this, SOCKET).setKeepAlive(...how);
      return setKeepAlive.apply(this, how);
    },
    ref(this: NativeTcp): void {
      successors.get(this)?.ref();
      ref.call(this);
    },
    unref(this: NativeTcp): void {
      if (!isDecided(this)) successor(this, SOCKET).unref();
      unref.call(this);
    },
    useUserBuffer(this: NativeTcp, buffer: Uint8Array): void {
      if (!isDecided(this)) successor(this, SOCKET).useUserBuffer(buffer);
      useUserBuffer.call(this, buffer);
    },
  });
  // Node asks whether a handle is the kernel's TCP before it resets one, or passes one on.
  Object.defineProperty(TCP, Symbol.hasInstance, {
    configurable: true,
    value: (value: unknown) => value instanceof TcpHandle,
  });
}

/** Whether a kernel's handle was decided on, or came from elsewhere. */
const isDecided = (handle: { readonly fd: number }): boolean =>
  handle.fd >= 0 || isBehindOurs(handle);

function successor(handle: NativeTcp, type: number): TcpHandle {
  let next = successors.get(handle);
  if (next === undefined) {
    next = new TcpHandle(type);
    successors.set(handle, next);
  }
  return next;
}

/** Who is bound: a client's handle at once, a server's when its server is known. */
function binder(handle: NativeTcp): TcpHandle {
  return replace(handle, SOCKET) ?? successor(handle, SERVER);
}

/** Puts Millrace's handle in the place of the kernel's; null when nobody known owns it. */
function replace(handle: NativeTcp, type: number): TcpHandle | null {
  const key = ownerKey(handle);
  const owner = key === null ? null : (Reflect.get(handle, key) as Owner | null);
  if (key === null || owner === null || owner._handle !== handle) return null;
  const next = successor(handle, type);
  successors.delete(handle);
  Reflect.set(next, key, owner);
  if (handle.onread !== undefined) next.onread = handle.onread;
  if (handle.onconnection != null) next.onconnection = handle.onconnection;
  next.reading = handle.reading;
  owner._handle = next;
  handle.close();
  return next;
}

type Bind = (address: string, port: number, flags: number) => number;

function installUdp(): void {
  const native = UDP.prototype;
  const { bind, bind6 } = native;
  // Of a `udp6` socket `bind` is a copy of `bind6`.
  define(native, {
    bind(this: NativeUdp, ...to: Parameters<Bind>): number {
      const next = isDecided(this) ? null : replaceUdp(this);
      return next === null ? bind.apply(this, to) : next.bind(...to);
    },
    bind6(this: NativeUdp, ...to: Parameters<Bind>): number {
      const next = isDecided(this) ? null : replaceUdp(this);
      return next === null ? bind6.apply(this, to) : next.bind6(...to);
    },
  });
}

function replaceUdp(handle: NativeUdp): UdpHandle | null {
  const key = ownerKey(handle);
  const owner = key === null ? null : (Reflect.get(handle, key) as object | null);
  const state = owner === null ? null : stateOf(owner);
  if (key === null || state === null || state.handle !== handle) return null;
  const next = new UdpHandle();
  for (const name of Reflect.ownKeys(handle)) {
    const six = name === "bind" ? next.bind6 : name === "connect" ? next.connect6 : null;
    const own = name === "send" ? next.send6 : six;
    Reflect.set(next, name, own ?? Reflect.get(handle, name));
  }
  if (!handle.hasRef()) next.unref();
  state.handle = next;
  handle.close();
  return next;
}

/** The state in which a `dgram.Socket` keeps its handle. */
function stateOf(socket: object): { handle: unknown } | null {
  for (const key of Object.getOwnPropertySymbols(socket)) {
    if (key.description === "state symbol") return Reflect.get(socket, key) as { handle: unknown };
  }
  return null;
}

function define(prototype: object, calls: Record<string, unknown>): void {
  for (const [name, value] of Object.entries(calls)) {
    Object.defineProperty(prototype, name, { value, writable: true, configurable: true });
  }
}
