/**
 * The memory that the engine shares with programs and the messages of its control socket, as
 * native/shim/layout.h lays them out: places in bytes, and constants. docs/engine-protocol.md explains
 * it; a test compares the two with a C compiler's view.
 *
 * Numbers are little-endian. Names are the C ones in camel case.
 */

export const LAYOUT_VERSION = 2;
export const LAYOUT_MAGIC = 0x3153524d;

/** Sizes of the session's tables. */
export const WAITERS = 256;
export const CALLS = 128;
export const SOCKETS = 16_384;
export const SUBMITS = 32_768;
export const HINTS = 16_384;
/** A waiter's class is its number modulo this. */
export const WAITER_CLASSES = 32;

/** `mr_session`. */
export const SessionAt = {
  magic: 0,
  version: 4,
  sessionId: 8,
  enginePid: 12,
  spinUs: 16,
  yields: 20,
  flags: 24,
  engineCpu: 28,
  engineSleeps: 64,
  hintTail: 68,
  routes: 72,
  hintHead: 128,
  submitTail: 192,
} as const;
export const SESSION_HEADER_BYTES = 256;

export const SessionFlag = { DEBUG: 1, LOOPBACK: 2 } as const;

/** `mr_waiter`. */
export const WaiterAt = { state: 0 } as const;
export const WAITER_BYTES = 64;
export const WaiterState = { AWAKE: 0, SLEEPS: 1, RANG: 2 } as const;

/** `mr_entry`. */
export const EntryAt = { waiters: 0, watched: 4, hinted: 8 } as const;
export const ENTRY_BYTES = 64;

/** `mr_call`. */
export const CallAt = {
  state: 0,
  op: 4,
  local: 8,
  waiter: 12,
  result: 16,
  args: 20,
  dataBytes: 48,
  data: 64,
} as const;
export const CALL_BYTES = 4_096;
export const CALL_DATA_BYTES = 4_032;
export const CallState = { FREE: 0, BUSY: 1, DONE: 2 } as const;

/** Bits of a submission; entries of the ring hold it plus 1, every other time around with LAP. */
export const Submit = { CALL: 0x8000_0000, CONTROL: 0x4000_0000, LAP: 0x2000_0000 } as const;

export const WAITERS_AT = 4_096;
export const ENTRIES_AT: number = WAITERS_AT + WAITERS * WAITER_BYTES;
export const SUBMITS_AT: number = ENTRIES_AT + SOCKETS * ENTRY_BYTES;
export const HINTS_AT: number = SUBMITS_AT + SUBMITS * 4;
export const CALLS_AT: number = HINTS_AT + HINTS * 4;
export const SESSION_BYTES: number = CALLS_AT + CALLS * CALL_BYTES;

/** `mr_region`. */
export const RegionAt = { magic: 0, version: 4, regionId: 8, bytes: 12 } as const;
export const REGION_HEADER_BYTES = 64;

/** `mr_address`. */
export const AddressAt = { address: 0, family: 16, port: 18, scope: 20 } as const;
export const ADDRESS_BYTES = 24;

/** `mr_socket`. */
export const SocketAt = {
  generation: 0,
  socketId: 4,
  kind: 8,
  family: 10,
  rxAt: 12,
  rxBytes: 16,
  txAt: 20,
  txBytes: 24,
  rxTail: 64,
  status: 68,
  rxEvents: 72,
  txEvents: 76,
  rxMore: 80,
  txQueued: 84,
  urgentAt: 88,
  tcpState: 92,
  error: 96,
  rxLock: 128,
  rxHead: 132,
  txLock: 192,
  txTail: 196,
  noSpace: 200,
  more: 204,
  submitted: 208,
  txHeadSeen: 212,
  txHead: 256,
  rxBlocked: 320,
  nonblock: 384,
  shut: 388,
  rcvtimeoNs: 392,
  sndtimeoNs: 400,
  rcvlowat: 408,
  reports: 412,
  asyncPid: 416,
  asyncSignal: 420,
  peekOff: 424,
  linger: 428,
  oobInline: 432,
  connectState: 436,
  names: 448,
  local: 456,
  remote: 480,
} as const;
export const SOCKET_BYTES = 512;

export const Kind = { TCP: 1, UDP: 2, LISTENER: 3 } as const;

export const Status = {
  CONNECTED: 1,
  EOF: 2,
  NO_SEND: 4,
  CONNECTING: 8,
  MARK: 16,
  URGENT: 32,
  ERRQUEUE: 64,
  GONE: 128,
  ERROR: 256,
} as const;

/** What connect(2) says next. */
export const ConnectState = { NONE: 0, STARTED: 1, DONE: 2 } as const;

/** `mr_datagram`. */
export const DatagramAt = {
  payloadBytes: 0,
  flags: 4,
  ttl: 6,
  tos: 7,
  peer: 8,
  own: 32,
  ifIndex: 48,
  timeLow: 52,
  timeHigh: 56,
  drops: 60,
} as const;
export const DATAGRAM_BYTES = 64;
export const DatagramFlag = { TTL: 1, TOS: 2, SOURCE: 4, MULTICAST: 8, TIMED: 16 } as const;

/** `mr_accepted`. */
export const AcceptedAt = {
  connection: 0,
  regionId: 4,
  headerAt: 8,
  generation: 12,
  peer: 16,
} as const;
export const ACCEPTED_BYTES = 64;

/** What `recvmsg` tells beside the data. */
export const Report = {
  PKTINFO: 1,
  TTL: 2,
  TOS: 4,
  TIMESTAMP: 8,
  TIMESTAMPNS: 16,
  PKTINFO6: 32,
  HOPLIMIT6: 64,
  TCLASS6: 128,
  ORIGDST: 256,
  RXQ_OVFL: 512,
  INQ: 1_024,
  ORIGDST6: 2_048,
  TIMESTAMPING: 4_096,
  V6ONLY: 0x2000_0000,
  MAY_BROADCAST: 0x4000_0000,
  CORKED: 0x8000_0000,
} as const;

/** `enum mr_op`. */
export const Op = {
  BIND: 1,
  CONNECT: 2,
  LISTEN: 3,
  SHUTDOWN: 4,
  SETSOCKOPT: 5,
  GETSOCKOPT: 6,
  SEND_OOB: 7,
  RECV_OOB: 8,
  RECV_ERROR: 9,
  IOCTL: 10,
  CLOSING: 11,
  RELEASE: 12,
  PING: 13,
  ROUTE: 14,
  PARK: 15,
  CLAIM: 16,
  OPEN: 17,
  INTERFACES: 18,
} as const;

/** `mr_interface`. */
export const InterfaceAt = {
  name: 0,
  index: 16,
  flags: 20,
  mtuBytes: 24,
  prefixBits: 28,
  address: 32,
  hardware: 56,
  mac: 58,
} as const;
export const INTERFACE_BYTES = 64;

/** `mr_error`. */
export const ErrorAt = {
  errno: 0,
  info: 4,
  data: 8,
  origin: 12,
  type: 13,
  code: 14,
  offender: 16,
  destination: 40,
} as const;
export const ERROR_BYTES = 64;

/** `enum mr_msg`. */
export const Msg = {
  HELLO: 1,
  OPEN: 2,
  ACCEPTED: 3,
  ATTACH: 4,
  WAITER: 5,
  REGION: 6,
  KERNEL: 7,
  LAUNCH: 8,
  DOOR: 9,
} as const;

/** `MR_HELLO_*`. */
export const HelloFlag = { LOOPBACK: 1, RULES_OF_STARTER: 2 } as const;

/** `mr_hello`. */
export const HelloAt = {
  type: 0,
  version: 4,
  pid: 8,
  flags: 12,
  program: 16,
  applicationId: 80,
  address: 144,
  rules: 208,
  profile: 464,
  spinUs: 480,
} as const;
export const HELLO_BYTES = 496;
export const PROGRAM_CHARS = 64;
export const RULES_CHARS = 256;
export const PROFILE_CHARS = 16;
export const REASON_CHARS = 112;
/** `spin_us` of mr_hello and mr_session. */
export const SPIN_FOR_EVER = 0xffff_ffff;
export const SPIN_NOT_GIVEN = 0xffff_fffe;

/** `mr_welcome`. */
export const WelcomeAt = { type: 0, result: 4, sessionId: 8, reason: 16 } as const;
export const WELCOME_BYTES = 128;

export const OpenedFor = {
  BIND: 1,
  LISTEN: 2,
  CONNECT: 3,
  SEND: 4,
  JOIN: 5,
  CLOSED: 6,
  TRY: 7,
} as const;

/** `mr_open`. */
export const OpenAt = {
  type: 0,
  local: 4,
  kind: 8,
  family: 10,
  at: 12,
  fd: 16,
  hasCompanion: 20,
  own: 24,
  peer: 48,
  inode: 72,
  endInode: 80,
  optionsBytes: 88,
  reason: 96,
} as const;
export const OPEN_BYTES = 208;

/** `mr_option`. */
export const OptionAt = { level: 0, option: 4, bytes: 8 } as const;
export const OPTION_BYTES = 12;

/** `mr_opened`. */
export const OpenedAt = {
  type: 0,
  result: 4,
  local: 8,
  regionId: 12,
  regionBytes: 16,
  headerAt: 20,
  generation: 24,
  hasRegion: 28,
  hasCompanion: 32,
  reason: 40,
} as const;
export const OPENED_BYTES = 152;

/** `mr_accepted_as`, `mr_attach`, `mr_waiter_fd`, `mr_region_wanted`. */
export const AcceptedAsAt = { type: 0, local: 4, connection: 8, fd: 12, endInode: 16 } as const;
export const ACCEPTED_AS_BYTES = 24;
export const AttachAt = { type: 0, local: 4, fd: 8 } as const;
export const ATTACH_BYTES = 16;
export const WaiterFdAt = { type: 0, waiter: 4 } as const;
export const WAITER_FD_BYTES = 8;
export const RegionWantedAt = { type: 0, regionId: 4 } as const;
export const REGION_WANTED_BYTES = 8;

export const MESSAGE_BYTES = 4_096;
