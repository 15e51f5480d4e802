/** Programs that end in the middle of a handshake; the peer is a stack at the other end of a link. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { IpAddress } from "../base/ip-address.js";
import { simLink } from "../nic/sim-link.js";
import { SocketAt } from "../ring/engine-layout.js";
import { createPool } from "../socket/create-host.js";
import { Family } from "../socket/linux-options.js";
import { Stack } from "../socket/stack.js";
import type { TcpSocket } from "../socket/tcp-socket.js";
import { State } from "../tcp/state.js";
import { nowUs } from "./clock.js";
import { EngineRig } from "./engine-fixture.js";
import { connectTcp, listenTcp } from "./test-sockets-fixture.js";

const NEAR = "10.5.0.1";
const FAR = "10.5.0.2";
const PORT = 80;
const ECONNREFUSED = 111;
const ECONNRESET = 104;

function withPeer(body: (rig: EngineRig, peer: Stack) => void): void {
  const pool = createPool({ smallSlots: 8_192, bigSlots: 256, peerBytes: 1 << 28 });
  const { a, b } = simLink(pool, pool);
  const nic = { device: a, addresses: [`${NEAR}/24`], gateway: null, routes: [], mtuBytes: null };
  const rig = new EngineRig({ pool, nics: [nic] });
  const peer = new Stack({ pool, nowUs: nowUs() });
  peer.ip.addInterface(b, { name: "eth0", addresses: [`${FAR}/24`] });
  try {
    body(rig, peer);
  } finally {
    rig.close();
    peer.close();
  }
}

/** The peer's socket after `connect`, once neighbours know each other. */
function peerConnects(peer: Stack): TcpSocket {
  const socket = peer.tcpSocket(Family.INET)!;
  socket.connect(IpAddress.parse(NEAR), PORT);
  return socket;
}

test("SYN_SENT: nothing is left, and a peer that answers later is reset", () => {
  withPeer((rig, peer) => {
    const listener = peer.tcpSocket(Family.INET)!;
    assert.equal(listener.bind(IpAddress.parse(FAR), PORT), 0);
    assert.equal(listener.listen(4), 0);
    const client = rig.client();
    const s = connectTcp(client, PORT, FAR);
    // The peer has not looked yet when the program dies.
    rig.until(() => rig.engine.stack.tcp.counters.get("outSegs") > 0, "the SYN");
    assert.equal(s.word(SocketAt.tcpState), State.SYN_SENT);
    s.close();
    client.close();
    rig.until(() => rig.engine.sockets.size === 0 && rig.engine.stack.tcp.rows === 0);
    assert.equal(rig.engine.stack.flows.size, 0);
    for (let i = 0; i < 50; i++) {
      peer.turn(nowUs());
      rig.run();
    }
    assert.equal(listener.accept(), null);
    assert.equal(peer.tcp.rows, 1);
  });
});

test("SYN_RECEIVED: the peer is refused when the listener's program dies", () => {
  withPeer((rig, peer) => {
    const server = rig.client();
    const listener = listenTcp(server, PORT);
    const socket = peerConnects(peer);
    // Until the engine has the SYN, and no longer.
    rig.until(() => {
      if (rig.engine.stack.tcp.rows === 1) peer.turn(nowUs());
      return rig.engine.stack.tcp.rows === 2;
    }, "the SYN");
    assert.equal(socket.state, State.SYN_SENT);
    listener.close();
    server.close();
    rig.until(() => rig.engine.stack.tcp.rows === 0, "the end of the listener");
    rig.until(() => {
      peer.turn(nowUs());
      return socket.state === State.CLOSED;
    }, "the reset");
    const error = socket.takeError();
    assert.ok(error === ECONNREFUSED || error === ECONNRESET, String(error));
    assert.equal(listener.word(SocketAt.rxTail), 0);
  });
});
