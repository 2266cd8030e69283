#include "socket_link.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

#include "sockets.h"

namespace lvmsync {

int64_t SocketLink::Read(uint8_t* into, size_t bytes, int wait_milliseconds) {
  const int64_t got = ReadWhenReady(socket_.fd(), into, bytes, wait_milliseconds);
  return closed_ ? -ECANCELED : got;
}

int SocketLink::Write(const uint8_t* from, size_t bytes, const ThreadPool& pool) {
  while (bytes > 0) {
    const ssize_t sent = send(socket_.fd(), from, bytes, MSG_NOSIGNAL);
    if (sent >= 0) {
      from += sent;
      bytes -= static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      if (const int error = Await(socket_.fd(), POLLOUT, Deadline::Never(), pool)) return error;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int SocketLink::End(const ThreadPool&) { return shutdown(socket_.fd(), SHUT_WR) == 0 ? 0 : errno; }

void SocketLink::Shutdown() {
  closed_ = true;
  static_cast<void>(shutdown(socket_.fd(), SHUT_RDWR));
}

}  // namespace lvmsync
