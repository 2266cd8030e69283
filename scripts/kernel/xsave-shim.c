/*
 * Preloaded into linux.uml on processors with AMX.
 *
 * User-Mode Linux 6.1 sets the floating point registers of its processes by ptrace, from a fixed
 * buffer of 2696 bytes: enough for x87 up to AVX-512 and PKRU. Where the processor's XSAVE area is
 * longer (AMX: Sapphire Rapids and later), the host kernel refuses so short a buffer with EFAULT,
 * and UML panics at its first process. So this replaces ptrace(): it copies a short buffer into one
 * of full length and clears the header's bits of the components that are not in it, which leaves
 * these in their initial state. All other requests pass through.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define NT_X86_XSTATE 0x202 /* linux/elf.h */

/* Offset of XSTATE_BV, the bit map of the components that are not in their initial state, and the
 * components that fit into UML's buffer: x87, SSE, AVX, MPX (2), AVX-512 (3), PKRU. */
#define XSTATE_BV_OFFSET 512
#define XSTATE_KEPT 0x2ffUL

static char xsave_area[65536] __attribute__((aligned(64)));
static size_t xsave_bytes; /* of the host's XSAVE area; 0 until asked */

static long set_xstate(pid_t pid, void *type, struct iovec *given) {
  struct iovec full = {xsave_area, sizeof xsave_area};
  uint64_t components;

  if (xsave_bytes == 0) {
    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, type, &full) < 0) return -1;
    xsave_bytes = full.iov_len;
    memset(xsave_area, 0, sizeof xsave_area);
  }
  if (given->iov_len >= xsave_bytes) return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, type, given);

  memcpy(xsave_area, given->iov_base, given->iov_len);
  memcpy(&components, xsave_area + XSTATE_BV_OFFSET, sizeof components);
  components &= XSTATE_KEPT;
  memcpy(xsave_area + XSTATE_BV_OFFSET, &components, sizeof components);
  full.iov_len = xsave_bytes;
  return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, type, &full);
}

long ptrace(enum __ptrace_request request, ...) {
  va_list arguments;
  va_start(arguments, request);
  pid_t pid = va_arg(arguments, pid_t);
  void *address = va_arg(arguments, void *);
  void *data = va_arg(arguments, void *);
  va_end(arguments);

  if (request == PTRACE_SETREGSET && (long)address == NT_X86_XSTATE)
    return set_xstate(pid, address, data);

  /* The system call stores a peeked word where `data` points; libc's ptrace returns it. */
  if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
    long word;
    if (syscall(SYS_ptrace, request, pid, address, &word) < 0) return -1;
    errno = 0;
    return word;
  }
  return syscall(SYS_ptrace, request, pid, address, data);
}
