/* What signal.c needs of copy.c. */
#ifndef MILLRACE_COPY_H
#define MILLRACE_COPY_H

#include <ucontext.h>

#include "shim.h"

/* Whether the fault was in the copy loop, which then goes on at its fix-up. */
bool mr_copy_fix(ucontext_t *context);

#endif
