#include "input.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

namespace lvmsync {

namespace {

constexpr int kPipeBytes = 1 << 20;  // /proc/sys/fs/pipe-max-size, unless it was changed

}  // namespace

int64_t ReadWhenReady(int fd, uint8_t* into, size_t bytes, int wait_milliseconds) {
  pollfd waiting = {fd, POLLIN, 0};
  const int ready = poll(&waiting, 1, wait_milliseconds);
  if (ready == 0) return -EAGAIN;
  if (ready > 0) {
    const ssize_t got = read(fd, into, bytes);
    if (got >= 0) return got;
  }
  return errno == EINTR ? -EAGAIN : -errno;
}

void EnlargePipe(int fd) { static_cast<void>(fcntl(fd, F_SETPIPE_SZ, kPipeBytes)); }

}  // namespace lvmsync
