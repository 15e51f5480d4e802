/**
 * Millrace's public face: hosts with promises and streams, devices to put them on, and the polled
 * sockets underneath. docs/api.md has the manual, docs/errors.md every error code.
 */
export { NetError } from "./base/errors.js";
export { IpAddress } from "./base/ip-address.js";
export type { AttachedProgram, AttachOptions } from "./nic/attach-program.js";
export type { CaptureOptions, CaptureSink } from "./nic/capture-recorder.js";
export { CaptureWriter } from "./nic/capture-writer.js";
export type { Device } from "./nic/device.js";
export { FaultInjector, type FaultInjectorOptions } from "./nic/fault-injector.js";
export type { FaultOptions } from "./nic/fault-path.js";
export type { MemifDevice, MemifOptions } from "./nic/memif.js";
export type { PacketOptions } from "./nic/packet.js";
export { fileSink, type PcapFiles } from "./nic/pcap-device.js";
export type { ProgramCounter, ProgramDeviceOptions } from "./nic/program-device.js";
export type { SimDirection, SimLinkOptions } from "./nic/sim-link.js";
export type { TapOptions } from "./nic/tap.js";
export { Tracer, type TraceSink } from "./nic/tracer.js";
export type { XdpOptions } from "./nic/xdp.js";
export type { XdpDevice, XdpModes } from "./nic/xdp-device.js";
export type { Pool } from "./ring/pool.js";
export {
  createHost,
  createPool,
  type HostOptions,
  type InterfaceOptions,
  type PoolOptions,
} from "./socket/create-host.js";
export {
  attachProgram,
  openMemif,
  openPacket,
  openPcap,
  openTap,
  openXdp,
  openXdpQueues,
  simLink,
} from "./socket/devices.js";
export type { Endpoint } from "./socket/endpoint.js";
export type { Host } from "./socket/host.js";
export type { ConnectOptions, ListenOptions, UdpOptions } from "./socket/host-options.js";
export { Family, MsgFlags, type OptionName, Shutdown } from "./socket/linux-options.js";
export type { PingOptions, PingReply, PingSummary } from "./socket/ping.js";
export type { PingSocket } from "./socket/ping-socket.js";
export { ReadyEvents, ReadySet, WatchMode } from "./socket/ready-set.js";
export { Runner, type RunnerOptions } from "./socket/runner.js";
export { Stack, type StackOptions } from "./socket/stack.js";
export type { TcpConnection, TcpConnectionOptions } from "./socket/tcp-connection.js";
export type { TcpServer } from "./socket/tcp-server.js";
export type { TcpSocket } from "./socket/tcp-socket.js";
export type { GroupOptions, UdpChannel, UdpMessage } from "./socket/udp-channel.js";
export type { UdpSocket } from "./socket/udp-socket.js";
export { Readiness } from "./tcp/readiness.js";
export type { TcpInfo } from "./tcp/tcp-info.js";
