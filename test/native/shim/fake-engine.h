/* An engine in the same process, for tests and benchmarks of the shim's core. */
#ifndef FAKE_ENGINE_H
#define FAKE_ENGINE_H

#include <pthread.h>

#include "../../../native/shim/core.h"

#define FAKE_RING 4096

/* Makes the session and one region, and lets the core believe that it has joined. */
void fake_start(void);
/* An accelerated socket with rings of `rx_bytes` and `tx_bytes`; connected if it is TCP. */
struct mr_sock *fake_socket(uint16_t kind, uint16_t family, uint32_t rx_bytes, uint32_t tx_bytes);

/* What the engine does with rings; each publishes and counts events. */
void fake_give(struct mr_sock *sock, const void *bytes, uint32_t n);
void fake_give_datagram(struct mr_sock *sock, const void *bytes, uint32_t n, uint16_t from_port);
void fake_end_stream(struct mr_sock *sock, int error);
uint32_t fake_take(struct mr_sock *sock, void *bytes, uint32_t n);
/* The next datagram that the program sent: its payload bytes, or -1. */
int fake_take_datagram(struct mr_sock *sock, struct mr_datagram *header, void *bytes, uint32_t n);
/* The next submission, or -1. */
int64_t fake_submission(void);
/* Wakes everyone who sleeps and waits for the socket. */
void fake_ring(struct mr_sock *sock);

/* A connection of this number in the listener's ring. */
void fake_connection(struct mr_sock *listener, uint32_t number);
/* A thread that answers the next request over the control socket with this error, and ends. */
pthread_t fake_refuse(int *error);

/* A thread that answers calls (`answer` sets result and data) and rings their callers. */
void fake_serve(void (*answer)(struct mr_call *call));

#endif
