/**
 * The stack's side of a server. Where the address has both sides, the kernel's listener chooses the
 * port and says what is wrong with it; then the stack listens at the same port.
 */
import { EAGAIN, EBADF, ENOBUFS } from "../base/errno.js";
import type { IpAddress } from "../base/ip-address.js";
import { Family } from "../socket/linux-options.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import { stackSide } from "./accelerator.js";
import { fillName } from "./names.js";
import { binding, type NameOut, type NativeTcp } from "./natives.js";
import { outside, tell } from "./scope.js";
import type { TcpHandle } from "./tcp-handle.js";
import { type Carrier, kernel, note } from "./verdict.js";

const { constants } = binding("tcp_wrap");
const IPV6_ONLY = constants.UV_TCP_IPV6ONLY ?? 1;
/** Since Node 22. */
const REUSE_PORT = constants.UV_TCP_REUSEPORT ?? 0;

export interface ServerEnd {
  readonly address: IpAddress;
  readonly ifIndex: number;
  readonly port: number;
  readonly flags: number;
  readonly is6: boolean;
}

export class TcpListener {
  readonly by: Carrier;
  readonly handle: TcpHandle;
  private readonly end: ServerEnd;
  private socket: TcpSocket | null = null;
  private isReferenced = true;

  constructor(handle: TcpHandle, by: Carrier, end: ServerEnd) {
    this.handle = handle;
    this.by = by;
    this.end = end;
  }

  /** Binds in the stack: 0 or a negated error number. */
  bind(port: number): number {
    const side = stackSide()!;
    const { address, ifIndex, flags, is6 } = this.end;
    side.host.enter();
    const socket = side.stack.tcpSocket(is6 ? Family.INET6 : Family.INET);
    if (socket === null) return -ENOBUFS;
    socket.set("SO_REUSEADDR", 1); // as libuv does
    if ((flags & IPV6_ONLY) !== 0) socket.set("IPV6_V6ONLY", 1);
    if ((flags & REUSE_PORT) !== 0) socket.set("SO_REUSEPORT", 1);
    const result = socket.bind(address, port, ifIndex);
    if (result < 0) socket.close();
    else this.socket = socket;
    return Math.min(result, 0);
  }

  /** Listens; with a kernel's listener at its port, and not at all when that cannot be. */
  listen(backlog: number, real: NativeTcp | null): number {
    const side = stackSide()!;
    if (real !== null) {
      const name: NameOut = {};
      real.getsockname(name);
      const bound = this.bind(name.port ?? 0);
      if (bound < 0) return this.leaveToKernel(`the port is taken in Millrace (${bound})`);
    }
    side.host.enter();
    const result = this.socket!.listen(backlog);
    if (result < 0) {
      if (real !== null) return this.leaveToKernel(`Millrace cannot listen there (${result})`);
      return result;
    }
    side.host.attach(this.socket!, this);
    if (!this.isReferenced) side.host.setRef(this.socket!, false);
    return 0;
  }

  /** The kernel's listener serves alone. */
  leaveToKernel(reason: string): number {
    this.close();
    note(this.handle, "tcp listen", `port ${this.end.port}`, kernel(reason));
    return 0;
  }

  setReferenced(on: boolean): void {
    this.isReferenced = on;
    if (this.socket !== null) stackSide()!.host.setRef(this.socket, on);
  }

  getsockname(out: NameOut): number {
    const address = this.socket?.localAddress ?? this.end.address;
    const port = this.socket?.localPort ?? this.end.port;
    return fillName(out, address, port, this.end.is6, this.end.ifIndex, stackSide()?.stack);
  }

  close(): void {
    const { socket } = this;
    this.socket = null;
    if (socket === null || socket.isClosed) return;
    const { host } = stackSide()!;
    host.enter();
    host.detach(socket);
    socket.close();
    host.kick();
  }

  /** Called by the host: connections are there. */
  onReady(): void {
    for (;;) {
      const listening = this.socket;
      if (listening === null) return; // a user has closed it meanwhile
      const socket = listening.accept();
      const errno = socket === null ? listening.acceptErrno : 0;
      if (errno === -EAGAIN || errno === -EBADF) return;
      const { onconnection, scope } = this.handle;
      if (onconnection === null) {
        socket?.abort();
        continue;
      }
      if (socket === null) {
        tell(scope, onconnection, this.handle, errno);
        return;
      }
      const client = outside(() => this.handle.acceptedBy(socket));
      tell(scope, onconnection, this.handle, 0, client as unknown as NativeTcp);
    }
  }

  onHostClosed(): void {
    this.close();
  }
}
