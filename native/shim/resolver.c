/*
 * Resolver calls: the sockets that name services (NSS modules, libc's own old ones) open inside them
 * stay with the kernel. Their arguments and results pass through untouched, whatever they are: no
 * more than eight words, as the calling conventions of x86-64 and aarch64 pass them, and
 * reading one that the caller has not passed is harmless. So netdb.h must not be included here, nor
 * setjmp.h: programs leave such calls by siglongjmp when an alarm rings, and are outside then, too.
 */
#include <stddef.h>

void *mr_real_find(const char *name);

__thread int mr_unaccelerated __attribute__((tls_model("initial-exec")));

typedef long any_function(long, long, long, long, long, long, long, long);

#define GUARD(name)                                                                              \
  __attribute__((visibility("default"))) long name(long a, long b, long c, long d, long e, long f, \
                                                   long g, long h) {                             \
    static any_function *libc_has;                                                               \
    if (libc_has == NULL) libc_has = (any_function *)mr_real_find(#name);                        \
    if (libc_has == NULL) return 0;                                                              \
    int around = mr_unaccelerated;                                                               \
    mr_unaccelerated = 1;                                                                        \
    long result = libc_has(a, b, c, d, e, f, g, h);                                              \
    mr_unaccelerated = around;                                                                   \
    return result;                                                                               \
  }

GUARD(getaddrinfo)
GUARD(getaddrinfo_a)
GUARD(gethostbyaddr)
GUARD(gethostbyaddr_r)
GUARD(gethostbyname)
GUARD(gethostbyname2)
GUARD(gethostbyname2_r)
GUARD(gethostbyname_r)
GUARD(gethostent)
GUARD(gethostent_r)
GUARD(getnameinfo)
GUARD(getnetbyaddr)
GUARD(getnetbyaddr_r)
GUARD(getnetbyname)
GUARD(getnetbyname_r)
GUARD(getnetent)
GUARD(getnetent_r)
GUARD(getnetgrent)
GUARD(getnetgrent_r)
GUARD(getprotobyname)
GUARD(getprotobyname_r)
GUARD(getprotobynumber)
GUARD(getprotobynumber_r)
GUARD(getprotoent)
GUARD(getprotoent_r)
GUARD(getservbyname)
GUARD(getservbyname_r)
GUARD(getservbyport)
GUARD(getservbyport_r)
GUARD(getservent)
GUARD(getservent_r)
GUARD(iruserok)
GUARD(iruserok_af)
GUARD(rcmd)
GUARD(rcmd_af)
GUARD(rexec)
GUARD(rexec_af)
GUARD(rresvport)
GUARD(rresvport_af)
GUARD(ruserok)
GUARD(ruserok_af)

/* ---- Leaving them ------------------------------------------------------------------------------------ */

typedef void jump(void *place, int value);

/* Found beforehand: dlsym is nothing for signal handlers. */
#define JUMP(name)                                                                               \
  static jump *libc_has_##name;                                                                  \
  __attribute__((constructor(102))) static void find_##name(void) {                              \
    libc_has_##name = (jump *)mr_real_find(#name);                                               \
  }                                                                                              \
  __attribute__((visibility("default"), noreturn)) void name(void *place, int value) {           \
    mr_unaccelerated = 0;                                                                        \
    libc_has_##name(place, value);                                                               \
    __builtin_unreachable();                                                                     \
  }

JUMP(longjmp)
JUMP(_longjmp)
JUMP(siglongjmp)
JUMP(__longjmp_chk)
