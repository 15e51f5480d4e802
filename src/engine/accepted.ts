/** Serves a connection that a listener has accepted, in memory of the listener's session. */
import { NetError } from "../base/errors.js";
import { Kind } from "../ring/engine-layout.js";
import type { PolledSocket } from "../socket/polled-socket.js";
import { TcpSocket } from "../socket/tcp-socket.js";
import type { EngineSocket } from "./engine-socket.js";
import { type RingSettings, takeBlock } from "./opening.js";
import type { SocketHost } from "./socket-host.js";
import { TcpServed } from "./tcp-served.js";

/** Null: there is no memory for it. */
export function serveAccepted(
  host: SocketHost,
  rings: RingSettings,
  listener: EngineSocket,
  socket: PolledSocket,
  id: number,
): TcpServed | null {
  if (!(socket instanceof TcpSocket)) return null;
  const { regionPool, family } = listener;
  try {
    const block = takeBlock(regionPool, host.memory, rings, id, Kind.TCP, family);
    const served = new TcpServed(host, id, family, block, regionPool, socket);
    served.reason = listener.reason;
    served.uid = listener.uid;
    served.home = listener.home;
    served.kernelValues = listener.kernelValues?.inherited() ?? null;
    return served;
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    return null;
  }
}
