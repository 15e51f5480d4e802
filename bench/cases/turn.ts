/**
 * What a turn costs by itself: with nothing to do, and with one datagram in and its echo out; on a
 * device that can do everything (checksums unmade), and behind software offload. Prints one JSON line.
 */
import { IpAddress } from "../../src/base/ip-address.js";
import { Capability } from "../../src/nic/device.js";
import { FrameFlags } from "../../src/ring/pool.js";
import { Family } from "../../src/socket/linux-options.js";
import type { UdpSocket } from "../../src/socket/udp-socket.js";
import { HOST, udpFrame } from "../frames.js";
import { perPacket } from "../per-packet.js";
import { PORT, Rig } from "../rig.js";
import type { Metrics } from "../scenario.js";

const IDLE_TURNS = 10_000_000;
const ECHOES = 2_000_000;
const PAYLOAD_BYTES = 64;
const TURN_US = 1;
const ALL = Capability.TX_CHECKSUM | Capability.TX_TSO4 | Capability.TX_TSO6 | Capability.TX_USO;

const buffer = new Uint8Array(2_048);
const from = new IpAddress();

function bound(rig: Rig): UdpSocket {
  const socket = rig.stack.udpSocket(Family.INET);
  if (socket.bind(HOST, PORT) !== 0) throw new Error("turn: bind");
  return socket;
}

function idle(rig: Rig): Promise<Metrics> {
  return perPacket(IDLE_TURNS, (count) => {
    for (let i = 0; i < count; i++) rig.turn(TURN_US);
  });
}

/** A datagram in, its copy out to where it came from, and the turn that sends it. */
async function echo(rig: Rig, socket: UdpSocket): Promise<Metrics> {
  const { device } = rig;
  const before = device.transmitted;
  let sent = 0;
  const metrics = await perPacket(ECHOES, (count) => {
    for (let i = 0; i < count; i++) {
      device.pending = 1;
      rig.turn(TURN_US);
      for (let n = socket.receive(buffer); n >= 0; n = socket.receive(buffer)) {
        from.setFrom(socket.from);
        socket.send(buffer, 0, n, from, socket.fromPort);
        sent++;
      }
    }
  });
  rig.turn(TURN_US);
  if (device.transmitted - before !== sent) throw new Error("turn: an echo is missing");
  return metrics;
}

const able = new Rig({}, ALL, FrameFlags.CHECKSUM_PARTIAL);
const plain = new Rig();
const sockets = [bound(able), bound(plain)] as const;
const idleAble = await idle(able);
able.device.load(udpFrame(5_000, PORT, PAYLOAD_BYTES));
const echoAble = await echo(able, sockets[0]);
const idlePlain = await idle(plain);
plain.device.load(udpFrame(5_000, PORT, PAYLOAD_BYTES));
const echoPlain = await echo(plain, sockets[1]);
console.log(
  JSON.stringify({
    ns_per_idle_turn: idleAble.ns_per_packet,
    min_ns_per_idle_turn: idleAble.min_ns_per_packet,
    ns_per_echo: echoAble.ns_per_packet,
    min_ns_per_echo: echoAble.min_ns_per_packet,
    ns_per_idle_turn_offload: idlePlain.ns_per_packet,
    ns_per_echo_offload: echoPlain.ns_per_packet,
    bytes_allocated_per_idle_turn: idleAble.bytes_allocated_per_packet,
    bytes_allocated_per_echo: echoAble.bytes_allocated_per_packet,
    collections: (idleAble.collections ?? 0) + (echoAble.collections ?? 0),
  }),
);
