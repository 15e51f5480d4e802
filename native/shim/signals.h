/* What the files beside signal.c need of it that is not in shim.h. */
#ifndef MILLRACE_SIGNAL_H
#define MILLRACE_SIGNAL_H

#include <signal.h>

#include "shim.h"

/* Before exec, and after an exec that failed. */
void mr_signals_for_exec(bool has_failed);
/* In the child of fork: locks that other threads held, the thread's number. */
void mr_signals_after_fork(void);

#endif
