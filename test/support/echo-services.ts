/** TCP and UDP echo on a Millrace host. */
import type { Host } from "../../src/socket/host.js";

/** Serves both at a port until the host closes, or the result is called. */
export async function serveEcho(host: Host, port: number): Promise<() => void> {
  const server = await host.listen({ port });
  const channel = await host.udp({ port });
  void (async () => {
    for await (const connection of server) {
      connection.on("error", () => {});
      connection.pipe(connection);
    }
  })();
  void (async () => {
    for await (const { data, address, port: to } of channel) {
      await channel.send(data, { address, port: to });
    }
  })();
  return () => {
    server.close();
    channel.close();
  };
}
