/*
 * Preloaded into linux.uml, whose ptrace() it replaces for the sake of two requests: User-Mode
 * Linux 6.1 gets the floating point registers of its processes each time one stops, twice if for a
 * page fault, and sets them each time it lets one go on.
 *
 * It need not set them where they are as they should be, which is so after a system call. The host
 * kernel takes memory from vmalloc for each such request, and on a virtual machine whose page
 * tables the hypervisor shadows that is a quarter of the guest's time, and more while the other
 * processors are busy. PTRACE_SETFPREGS does without, and is enough after a page fault, which
 * leaves x87 and SSE registers as they should not be. Nor need they be got again while the process
 * is stopped: what was got or set last is kept.
 *
 * It sets them from a fixed buffer of 2696 bytes: enough for x87 up to AVX-512 and PKRU. Where the
 * processor's XSAVE area is longer (AMX: Sapphire Rapids and later), the host kernel refuses so
 * short a buffer with EFAULT, and UML panics at its first process. A short buffer is copied into
 * one of full length, the header's bits of the components that are not in it cleared, which leaves
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

#include "fault-around.h"

#define NT_X86_XSTATE 0x202 /* linux/elf.h */

/* The XSAVE area: what PTRACE_SETFPREGS sets, x87 and SSE, then a header of 64 bytes, then the
 * rest. The header begins with XSTATE_BV, the bit map of the components that are not in their
 * initial state. Those that fit into UML's buffer: x87, SSE, AVX, MPX (2), AVX-512 (3), PKRU. */
#define XSTATE_BV_OFFSET 512
#define XSTATE_REST_OFFSET 576
#define XSTATE_KEPT 0x2ffUL

/* What the stopped process `stopped` has, and what it is to have; none where `stopped` is 0. */
static char present[65536] __attribute__((aligned(64)));
static char wanted[65536] __attribute__((aligned(64)));
static size_t area_bytes;
static pid_t stopped;

static long look(pid_t pid) {
  struct iovec area = {present, sizeof present};
  if (stopped == pid) return 0;
  stopped = 0;
  if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &area) < 0) return -1;
  area_bytes = area.iov_len;
  stopped = pid;
  return 0;
}

static long get_xstate(pid_t pid, struct iovec *given) {
  if (look(pid) < 0) return -1;
  if (given->iov_len > area_bytes) given->iov_len = area_bytes;
  memcpy(given->iov_base, present, given->iov_len);
  return 0;
}

static long set_xstate(pid_t pid, const struct iovec *given) {
  uint64_t components;

  if (look(pid) < 0) return -1;
  if (given->iov_len >= area_bytes) {
    memcpy(wanted, given->iov_base, area_bytes);
  } else {
    memcpy(wanted, given->iov_base, given->iov_len);
    memset(wanted + given->iov_len, 0, area_bytes - given->iov_len);
    memcpy(&components, wanted + XSTATE_BV_OFFSET, sizeof components);
    components &= XSTATE_KEPT;
    memcpy(wanted + XSTATE_BV_OFFSET, &components, sizeof components);
  }
  if (memcmp(present, wanted, area_bytes) == 0) return 0;
  struct iovec area = {wanted, area_bytes};
  stopped = 0;
  if (memcmp(present + XSTATE_REST_OFFSET, wanted + XSTATE_REST_OFFSET,
             area_bytes - XSTATE_REST_OFFSET) == 0) {
    if (syscall(SYS_ptrace, PTRACE_SETFPREGS, pid, 0, wanted) < 0) return -1;
  } else if (syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &area) < 0) {
    return -1;
  }
  memcpy(present, wanted, area_bytes);
  stopped = pid;
  return 0;
}

long ptrace(enum __ptrace_request request, ...) {
  va_list arguments;
  va_start(arguments, request);
  pid_t pid = va_arg(arguments, pid_t);
  void *address = va_arg(arguments, void *);
  void *data = va_arg(arguments, void *);
  va_end(arguments);

  fault_around();
  if ((long)address == NT_X86_XSTATE) {
    if (request == PTRACE_GETREGSET) return get_xstate(pid, data);
    if (request == PTRACE_SETREGSET) return set_xstate(pid, data);
  }

  /* The system call stores a peeked word where `data` points; libc's ptrace returns it. */
  if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
    long word;
    if (syscall(SYS_ptrace, request, pid, address, &word) < 0) return -1;
    errno = 0;
    return word;
  }
  if (request != PTRACE_GETREGS && request != PTRACE_SETREGS && request != PTRACE_GETSIGINFO)
    stopped = 0;
  return syscall(SYS_ptrace, request, pid, address, data);
}
