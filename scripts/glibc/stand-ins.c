/*
 * What a C library of version 2.28 lacks and the headers of a newer one make the addon ask for.
 * They stay in the addon, which is linked with -Wl,--exclude-libs and hidden symbols.
 */
#include <sys/syscall.h>
#include <unistd.h>

#define HIDDEN __attribute__((visibility("hidden")))

/* Since 2.32. Never set: libstdc++ then counts its references with atomic instructions, always. */
HIDDEN char __libc_single_threaded = 0;

/* Since 2.33. On 64-bit machines the kernel's structure is the C library's. */
HIDDEN int fstat64(int fd, void* status) { return (int)syscall(SYS_fstat, fd, status); }

HIDDEN int stat64(const char* path, void* status) {
  return (int)syscall(SYS_newfstatat, -100 /* AT_FDCWD */, path, status, 0);
}
