/*
 * What the engine and a program share: the layout of their memory and the messages of their control
 * socket. docs/engine-protocol.md explains it; src/ring/engine-layout.ts says the same in TypeScript,
 * and a test compares the two.
 *
 * Every field has one writer unless it says otherwise. Numbers are little-endian; positions in rings
 * run freely over 32 bits and are taken modulo the ring's size, a power of two. The engine reads
 * each word once and checks it: whatever a program writes here can harm only that program.
 */
#ifndef MILLRACE_LAYOUT_H
#define MILLRACE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#define MR_VERSION 2u
#define MR_MAGIC 0x3153524du /* "MRS1" */
#define MR_LINE 64
#define MR_PAGE 4096

/* ---- Session: one for each process that uses accelerated sockets; a sealed memfd ---------------- */

#define MR_WAITERS 256     /* waiters of a session; a waiter's class is its number modulo 32 */
#define MR_CALLS 128       /* calls under way at once */
#define MR_SOCKETS 16384   /* entries of the session's socket table */
#define MR_SUBMITS 32768   /* entries of the submission ring: more than sockets and calls together */
#define MR_HINTS 16384     /* entries of the hint ring: as many as sockets, each is queued once */

struct mr_session {
  /* Written by the engine before the program sees it. */
  uint32_t magic, version, session_id, engine_pid;
  uint32_t spin_us;        /* how long waits poll before they sleep; UINT32_MAX: for ever */
  uint32_t yields;         /* whether polling yields the processor between looks */
  uint32_t flags;          /* MR_SESSION_* */
  uint32_t engine_cpu;     /* engine, whenever it changes: the processor that it is on, + 1; 0: not known */
  uint32_t reserved0[8];
  /* Line 1, engine. */
  uint32_t engine_sleeps;  /* engine: 1; program: exchange with 0 after submitting, and if it was not 0
                            * write 8 bytes to the wake descriptor */
  uint32_t hint_tail;
  uint32_t routes;         /* grows when routes, rules or addresses change: answers of MR_OP_ROUTE are old */
  uint32_t reserved1[13];
  /* Line 2, program. */
  uint32_t hint_head;
  uint32_t reserved2[15];
  /* Line 3, program; all its threads, by atomic addition. */
  uint32_t submit_tail;
  uint32_t reserved3[15];
};

#define MR_SESSION_DEBUG 1u    /* MILLRACE_DEBUG was set */
#define MR_SESSION_LOOPBACK 2u /* loopback addresses go through Millrace */

/* Whoever may sleep: a thread, or an epoll instance. Its eventfd is given with MR_MSG_WAITER. */
struct mr_waiter {
  uint32_t state; /* MR_WAITER_*: the program makes it SLEEPS, the engine's exchange makes it RANG */
  uint32_t reserved[15];
};

#define MR_WAITER_AWAKE 0u
#define MR_WAITER_SLEEPS 1u
#define MR_WAITER_RANG 2u

/* A socket as one session knows it; the program chooses the entry's number ("local"). */
struct mr_entry {
  uint32_t waiters; /* program: classes of waiters to ring; atomic or, and */
  uint32_t watched; /* program: not 0 when the socket is in an epoll instance: hints are wanted */
  uint32_t hinted;  /* engine sets it with the hint; the program clears it before it looks */
  uint32_t reserved[13];
};

/* A call to the engine. The thread that owns it fills it in and submits MR_SUBMIT_CALL | number. */
struct mr_call {
  uint32_t state;  /* program: BUSY; engine: DONE */
  uint32_t op;     /* MR_OP_* */
  uint32_t local;  /* the socket's entry */
  uint32_t waiter; /* rung when done and asleep */
  int32_t result;  /* 0 or more, or a negated error number */
  uint32_t args[7];
  uint32_t data_bytes; /* used in data, both ways */
  uint32_t reserved[3];
  uint8_t data[4032];
};

#define MR_CALL_FREE 0u
#define MR_CALL_BUSY 1u
#define MR_CALL_DONE 2u

#define MR_SUBMIT_CALL 0x80000000u    /* | number of the call; otherwise the entry of a socket */
#define MR_SUBMIT_CONTROL 0x40000000u /* look at the control socket and at hang-ups now */
/* The submission ring's entries hold value + 1, and MR_SUBMIT_LAP every other time around: what is not of the lap
 * is claimed, and not yet written. So the engine has to write nothing there. */
#define MR_SUBMIT_LAP 0x20000000u

#define MR_WAITERS_AT 4096
#define MR_ENTRIES_AT (MR_WAITERS_AT + MR_WAITERS * 64)
#define MR_SUBMITS_AT (MR_ENTRIES_AT + MR_SOCKETS * 64)
#define MR_HINTS_AT (MR_SUBMITS_AT + MR_SUBMITS * 4)
#define MR_CALLS_AT (MR_HINTS_AT + MR_HINTS * 4)
#define MR_SESSION_BYTES (MR_CALLS_AT + MR_CALLS * 4096)

/* ---- Region: a sealed memfd with sockets' headers and rings; every process that has a socket of it
 *      maps it, children of fork by inheritance -------------------------------------------------- */

struct mr_region {
  uint32_t magic, version, region_id, bytes;
  uint32_t reserved[12];
};

/* An address as rings and calls carry it. IPv4 in the first four bytes of `address`, network order. */
struct mr_address {
  uint8_t address[16];
  uint16_t family; /* AF_INET, AF_INET6, 0 for none */
  uint16_t port;   /* host order */
  uint32_t scope;  /* index of the interface of a link-local address, or 0 */
};

struct mr_socket {
  /* Line 0. Written by the engine before the program sees it. */
  uint32_t generation; /* changes when the block is used again: another one means the socket is gone */
  uint32_t socket_id;  /* the engine's number */
  uint16_t kind;       /* MR_KIND_* */
  uint16_t family;     /* of the socket: AF_INET, AF_INET6 */
  uint32_t rx_at, rx_bytes; /* ring to the program, from the start of the region */
  uint32_t tx_at, tx_bytes; /* ring to the engine */
  uint32_t reserved0[9];
  /* Line 1. Engine. */
  uint32_t rx_tail;
  uint32_t status;     /* MR_STATUS_* */
  uint32_t rx_events;  /* grows with everything that a program could be told of by IN, PRI, HUP */
  uint32_t tx_events;  /* grows when there is room again after `no_space` */
  uint32_t rx_more;    /* bytes that wait in the stack behind the ring (FIONREAD's rest) */
  uint32_t tx_queued;  /* bytes taken from the ring that the peer has not acknowledged (SIOCOUTQ) */
  uint32_t urgent_at;  /* position in the receive ring of the urgent mark, with MR_STATUS_MARK */
  uint32_t tcp_state;  /* as in TCP_INFO */
  int32_t error;       /* engine sets a positive error number, the program takes it by exchange with 0 */
  uint32_t reserved1[7];
  /* Line 2. Program, receiving. */
  uint32_t rx_lock;    /* 0, or the holder: mr_holder of lock.c, | MR_LOCK_WAITED */
  uint32_t rx_head;
  uint32_t reserved2[14];
  /* Line 3. Program, sending; what the engine has to see of it together. */
  uint32_t tx_lock;
  uint32_t tx_tail;
  uint32_t no_space;   /* program: 1, it found too little room; engine: exchange with 0 when there is */
  uint32_t more;       /* the last bytes came with MSG_MORE */
  uint32_t submitted;  /* program: 1 (exchange) with the submission; engine: 0 before it looks at the rings */
  uint32_t tx_head_seen; /* program, with tx_lock: tx_head, or what it was; the engine does not read it */
  uint32_t reserved3[10];
  /* Line 4. Engine, sending. */
  uint32_t tx_head;
  uint32_t reserved4[15];
  /* Line 5. Both. */
  uint32_t rx_blocked; /* engine: 1, the receive ring has no room; program: 0 after reading, and submits */
  uint32_t reserved5[15];
  /* Line 6. Program: state of the open file description, shared by all that hold it. */
  uint32_t nonblock;
  uint32_t shut;       /* directions that the program has ended: 1 reading, 2 writing */
  uint64_t rcvtimeo_ns, sndtimeo_ns; /* 0: none */
  uint32_t rcvlowat;
  uint32_t reports;    /* MR_REPORT_*: what recvmsg tells beside the data */
  uint32_t async_pid, async_signal; /* F_SETOWN, F_SETSIG with O_ASYNC */
  int32_t peek_off;    /* SO_PEEK_OFF; -1: off */
  uint32_t linger;     /* seconds + 1 for SO_LINGER; 0: off */
  uint32_t oob_inline;
  uint32_t connect_state; /* MR_CONNECT_*: what connect(2) says next */
  uint32_t segment_bytes; /* UDP_SEGMENT, or 0 */
  uint32_t reserved6[1];
  /* Line 7. Engine: getsockname and getpeername. `names` is odd while they change. */
  uint32_t names;
  uint32_t reserved7;
  struct mr_address local, remote;
  uint32_t reserved8[2];
};

#define MR_KIND_TCP 1
#define MR_KIND_UDP 2
#define MR_KIND_LISTENER 3 /* a TCP socket that listens: its receive ring carries mr_accepted */

#define MR_STATUS_CONNECTED 1u /* TCP: established; UDP: has a peer */
#define MR_STATUS_EOF 2u       /* nothing follows what is in the receive ring and rx_more is 0 */
#define MR_STATUS_NO_SEND 4u   /* sending gives EPIPE */
#define MR_STATUS_CONNECTING 8u
#define MR_STATUS_MARK 16u     /* urgent_at holds */
#define MR_STATUS_URGENT 32u   /* there is urgent data to read: PRI */
#define MR_STATUS_ERRQUEUE 64u /* the error queue has an entry (UDP with RECVERR): ERR */
#define MR_STATUS_GONE 128u    /* the engine has closed the socket for good */
#define MR_STATUS_ERROR 256u   /* `error` was set and not yet taken; ERR */

/* As SS_* of the kernel: a second connect after the first one's success is told 0 once, then EISCONN. */
#define MR_CONNECT_NONE 0u
#define MR_CONNECT_STARTED 1u
#define MR_CONNECT_DONE 2u

#define MR_LOCK_WAITED 0x80000000u
#define MR_LOCK_TID 0x003fffffu   /* the kernel's PID_MAX_LIMIT; in between: of the holder's pid namespace */

/* A datagram in a ring: this header at a multiple of 64, then the payload, which may wrap; the next
 * header follows at the next multiple of 64. */
struct mr_datagram {
  uint32_t payload_bytes;
  uint16_t flags;    /* MR_DATAGRAM_* */
  uint8_t ttl, tos;  /* sending: where the flags say so */
  struct mr_address peer; /* receiving: the sender; sending: the destination, family 0: the connected peer */
  uint8_t own[16];   /* receiving: the destination; sending: the source, with MR_DATAGRAM_SOURCE */
  uint32_t if_index; /* receiving: where it came in; sending: where it must leave, or 0 */
  int32_t time_low, time_high; /* receiving: nanoseconds of CLOCK_REALTIME, halves of an int64 */
  uint32_t drops;    /* receiving: datagrams that found no room so far (SO_RXQ_OVFL) */
};

#define MR_DATAGRAM_TTL 1u
#define MR_DATAGRAM_TOS 2u
#define MR_DATAGRAM_SOURCE 4u
#define MR_DATAGRAM_MULTICAST 8u /* receiving: it came to a group */
#define MR_DATAGRAM_TIMED 16u    /* receiving: time_high and time_low hold */

/* A connection in a listener's receive ring, 64 bytes. The program answers with MR_MSG_ACCEPTED. */
struct mr_accepted {
  uint32_t connection; /* the engine's number, to be given back */
  uint32_t region_id;
  uint32_t header_at;  /* mr_socket, from the start of the region */
  uint32_t generation;
  struct mr_address peer;
  uint32_t reserved[6];
};

#define MR_REPORT_PKTINFO 1u
#define MR_REPORT_TTL 2u
#define MR_REPORT_TOS 4u
#define MR_REPORT_TIMESTAMP 8u
#define MR_REPORT_TIMESTAMPNS 16u
#define MR_REPORT_PKTINFO6 32u
#define MR_REPORT_HOPLIMIT6 64u
#define MR_REPORT_TCLASS6 128u
#define MR_REPORT_ORIGDST 256u
#define MR_REPORT_RXQ_OVFL 512u
#define MR_REPORT_INQ 1024u
#define MR_REPORT_ORIGDST6 2048u
#define MR_REPORT_TIMESTAMPING 4096u /* by software, of what is received */
#define MR_REPORT_V6ONLY 0x20000000u        /* IPV6_V6ONLY, or bound to an IPv6 address; as the next two */
#define MR_REPORT_MAY_BROADCAST 0x40000000u /* SO_BROADCAST; here as the shim alone looks at it */
#define MR_REPORT_CORKED 0x80000000u        /* UDP_CORK; likewise */

/* ---- Calls ------------------------------------------------------------------------------------ */

/* What data holds: an mr_address where "address" is written. All work on call.local. */
enum mr_op {
  MR_OP_BIND = 1,      /* address */
  MR_OP_CONNECT = 2,   /* address; -EINPROGRESS for TCP; family 0 disconnects, args[0] 1: from its port, too */
  MR_OP_LISTEN = 3,    /* args[0] backlog; the header's kind becomes MR_KIND_LISTENER */
  MR_OP_SHUTDOWN = 4,  /* args[0] how; what lies in the ring to the engine is sent before */
  MR_OP_SETSOCKOPT = 5, /* args[0] level, args[1] option; data as setsockopt(2) takes it */
  MR_OP_GETSOCKOPT = 6, /* args[0] level, args[1] option, args[2] room; data as getsockopt(2) gives it */
  MR_OP_SEND_OOB = 7,  /* data; after what lies in the ring */
  MR_OP_RECV_OOB = 8,  /* args[0] room, args[1] flags; data */
  MR_OP_RECV_ERROR = 9, /* MSG_ERRQUEUE; data: mr_error, then the payload */
  MR_OP_IOCTL = 10,    /* args[0] request; data both ways (SIOCGIF* on Millrace's interfaces) */
  MR_OP_CLOSING = 11,  /* args[0] seconds to linger; done when everything is acknowledged or over */
  MR_OP_RELEASE = 12,  /* this session no longer uses the entry (close, while others may) */
  MR_OP_PING = 13,     /* does nothing */
  MR_OP_ROUTE = 14,    /* address; 0: Millrace reaches it, 1: only the kernel may. For sockets with a
                        * companion, before they send to a destination for the first time. Without port
                        * also MR_ROUTE_BY_PORT: with one there is an answer, for now. Of TCP, before it connects:
                        * what rules say, too */
  MR_OP_PARK = 15,     /* RELEASE by a process that alone has the socket and keeps a copy of its end for the
                        * next one. args[0] 1: which is to connect. Result 1: no, the copy is of no use; 0:
                        * the end is parked under the entry; 2: and args[1..3] are the region, header_at and
                        * generation of a block for MR_OP_OPEN */
  MR_OP_CLAIM = 16,    /* as MR_MSG_ACCEPTED, with a parked end: args[0] connection, args[1] descriptor */
  MR_OP_OPEN = 17,     /* as MR_MSG_OPEN at CONNECT, with a parked end and its block, and connects: mr_open
                        * and the options. What goes wrong is an error of the connection */
  MR_OP_INTERFACES = 18, /* args[0] how many to leave out; result: how many mr_interface are in data. Neither
                          * this nor MR_OP_IOCTL needs a socket */
};

/* An address of an interface that is Millrace's alone; each of its addresses has such a record. */
struct mr_interface {
  char name[16];  /* the last one is 0 */
  uint32_t index; /* none of the kernel's */
  uint32_t flags; /* IFF_* */
  uint32_t mtu_bytes;
  uint32_t prefix_bits;
  struct mr_address address; /* scope: of link-local ones, the index */
  uint16_t hardware;         /* ARPHRD_* */
  uint8_t mac[6];
};

#define MR_ROUTE_BY_PORT 2

/* An entry of the error queue, as sock_extended_err of ip(7). */
struct mr_error {
  uint32_t errno_, info, data;
  uint8_t origin, type, code, pad;
  struct mr_address offender, destination;
};

/* ---- Control socket: AF_UNIX, SOCK_SEQPACKET. Requests of a process one at a time; each but
 *      ACCEPTED and WAITER is answered by one message ---------------------------------------------- */

enum mr_msg {
  MR_MSG_HELLO = 1,    /* mr_hello; descriptor: [rules] -> mr_welcome; descriptors: session, wake eventfd */
  MR_MSG_OPEN = 2,     /* mr_open; descriptors: engine's end, [companion] -> mr_opened, [region] */
  MR_MSG_ACCEPTED = 3, /* mr_accepted_as; descriptor: engine's end. No answer */
  MR_MSG_ATTACH = 4,   /* mr_attach; descriptor: the program's end -> mr_opened, [companion], [region] */
  MR_MSG_WAITER = 5,   /* mr_waiter_fd; descriptor: eventfd. No answer */
  MR_MSG_REGION = 6,   /* mr_region_wanted -> mr_opened with region_id; descriptor: region */
  MR_MSG_KERNEL = 7,   /* mr_open: a socket that the program itself leaves with the kernel; no answer */
  MR_MSG_LAUNCH = 8,   /* mr_hello of a launcher, instead of HELLO; its pidfd -> mr_welcome without a session */
  MR_MSG_DOOR = 9,     /* nothing more; descriptor: a control socket of a process to come. No answer */
};

#define MR_HELLO_RULES_OF_STARTER 2u /* it cannot read its rules: those that whoever let it in has of that file */
#define MR_HELLO_LOOPBACK 1u /* loopback addresses go through Millrace, whatever the engine's own setting */

struct mr_hello {
  uint32_t type, version;
  int32_t pid;
  uint32_t flags;          /* MR_HELLO_* */
  char program[64];        /* program_invocation_short_name at its start, zero-terminated */
  char application_id[64]; /* MILLRACE_APPLICATION_ID (or VMA_APPLICATION_ID) */
  char address[64];        /* --address of `millrace run`, or empty */
  char rules[256];         /* rules file, for messages, or empty; its contents come along: a sealed memfd */
  char profile[16];        /* latency, balanced, idle, or empty */
  uint32_t spin_us;        /* MILLRACE_SPIN_US, UINT32_MAX for ever; UINT32_MAX - 1: not given */
  uint32_t reserved[3];
};

struct mr_welcome {
  uint32_t type;
  int32_t result;          /* 0, or a negated error number */
  uint32_t session_id;
  uint32_t reserved;
  char reason[112];
};

/* Why a socket is to be accelerated now, and what is known of it. */
#define MR_AT_BIND 1u
#define MR_AT_LISTEN 2u
#define MR_AT_CONNECT 3u
#define MR_AT_SEND 4u
#define MR_AT_JOIN 5u
/* In the level of an option: what it reads back as, in the kernel's words. */
#define MR_OPTION_READS_BACK 0x80000000u

#define MR_AT_TRY 7u /* only whether Millrace takes the options: result 1, or an error for the program */
#define MR_AT_CLOSED 6u /* MR_MSG_KERNEL only */

struct mr_open {
  uint32_t type;
  uint32_t local;          /* entry that the program has chosen */
  uint16_t kind, family;
  uint32_t at;             /* MR_AT_* */
  int32_t fd;              /* for messages and `millrace stat` */
  uint32_t has_companion;  /* a kernel socket with the same port comes along; 2: only to hold the port;
                            * MR_COMES_NOTHING: nor does an end, as there is no room: result 1, MR_NO_ROOM* */
  struct mr_address own;   /* bound address, family 0: none yet */
  struct mr_address peer;  /* of connect and sendto; the group of a join */
  uint64_t inode;          /* of the kernel socket that is replaced or stays */
  uint64_t end_inode;      /* of the program's end of the pair, as fstat gives it; MR_MSG_KERNEL: 0 */
  uint32_t options_bytes;  /* mr_option records follow the message: setsockopts so far, in order */
  uint32_t reserved;
  char reason[112];        /* MR_MSG_KERNEL, MR_COMES_NOTHING: why */
};

#define MR_COMES_NOTHING 3u
#define MR_NO_ROOM 2         /* it would be accelerated if there were room, and stays with the kernel */
#define MR_NO_ROOM_NOR_WAY 3 /* and the kernel has no way to where only Millrace leads: nobody's */

struct mr_option {
  uint32_t level, option, bytes; /* then the value, padded to a multiple of 4 */
};

struct mr_opened {
  uint32_t type;
  int32_t result;          /* 0; a negated error number for the caller; 1: stays with the kernel; MR_NO_ROOM* */
  uint32_t local;
  uint32_t region_id, region_bytes;
  uint32_t header_at, generation;
  uint32_t has_region;     /* descriptors that come along, in this order: companion, region */
  uint32_t has_companion;
  uint32_t reserved;
  char reason[112];        /* why the kernel keeps it, or what went wrong; accelerated: the NIC's name */
};

struct mr_accepted_as { uint32_t type, local, connection; int32_t fd; uint64_t end_inode; };
struct mr_attach { uint32_t type, local; int32_t fd; uint32_t reserved; };
struct mr_waiter_fd { uint32_t type, waiter; };
struct mr_region_wanted { uint32_t type, region_id; };

#define MR_MESSAGE_BYTES 4096 /* longest message, options included */

_Static_assert(sizeof(struct mr_session) == 256, "mr_session");
_Static_assert(sizeof(struct mr_interface) == 64, "mr_interface");
_Static_assert(sizeof(struct mr_waiter) == 64, "mr_waiter");
_Static_assert(sizeof(struct mr_entry) == 64, "mr_entry");
_Static_assert(sizeof(struct mr_call) == 4096, "mr_call");
_Static_assert(sizeof(struct mr_address) == 24, "mr_address");
_Static_assert(sizeof(struct mr_socket) == 512, "mr_socket");
_Static_assert(offsetof(struct mr_socket, rx_tail) == 64, "line 1");
_Static_assert(offsetof(struct mr_socket, names) == 448, "line 7");
_Static_assert(sizeof(struct mr_datagram) == 64, "mr_datagram");
_Static_assert(sizeof(struct mr_accepted) == 64, "mr_accepted");
_Static_assert(MR_SESSION_BYTES % MR_PAGE == 0, "session");

#endif
