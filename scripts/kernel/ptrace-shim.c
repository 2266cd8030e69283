/*
 * Preloaded into linux.uml, whose ptrace() it replaces for the sake of one request: User-Mode Linux
 * 6.1 sets the floating point registers of its processes each time it lets one go on.
 *
 * It need not where they are as they should be, which is nearly always: it stopped the process for a
 * system call of its own. The host kernel takes memory from vmalloc for each such request, and on a
 * virtual machine whose page tables the hypervisor shadows that is a quarter of the guest's time,
 * and more while the other processors are busy.
 *
 * It sets them from a fixed buffer of 2696 bytes: enough for x87 up to AVX-512 and PKRU. Where the
 * processor's XSAVE area is longer (AMX: Sapphire Rapids and later), the host kernel refuses so
 * short a buffer with EFAULT, and UML panics at its first process. A short buffer is copied into one
 * of full length, the header's bits of the components that are not in it cleared, which leaves these
 * in their initial state. All other requests pass through.
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

/* What the process has, and what it is to have. */
static char present[65536] __attribute__((aligned(64)));
static char wanted[65536] __attribute__((aligned(64)));

static long set_xstate(pid_t pid, void *type, const struct iovec *given) {
  struct iovec area = {present, sizeof present};
  uint64_t components;

  if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, type, &area) < 0) return -1;
  if (given->iov_len >= area.iov_len) {
    memcpy(wanted, given->iov_base, area.iov_len);
  } else {
    memcpy(wanted, given->iov_base, given->iov_len);
    memset(wanted + given->iov_len, 0, area.iov_len - given->iov_len);
    memcpy(&components, wanted + XSTATE_BV_OFFSET, sizeof components);
    components &= XSTATE_KEPT;
    memcpy(wanted + XSTATE_BV_OFFSET, &components, sizeof components);
  }
  if (memcmp(present, wanted, area.iov_len) == 0) return 0;
  area.iov_base = wanted;
  return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, type, &area);
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
