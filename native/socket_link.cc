#include "socket_link.h"

#include <sys/socket.h>

#include <cerrno>

#include "sockets.h"

namespace lvmsync {

int64_t SocketLink::Read(uint8_t* into, size_t bytes, int wait_milliseconds) {
  const int64_t got = ReadWhenReady(socket_.fd(), into, bytes, wait_milliseconds);
  return closed_ ? -ECANCELED : got;
}

int SocketLink::Write(const uint8_t* from, size_t bytes, const ThreadPool& pool) {
  return SendAll(socket_.fd(), from, bytes, pool);
}

int SocketLink::End(const ThreadPool&) { return shutdown(socket_.fd(), SHUT_WR) == 0 ? 0 : errno; }

void SocketLink::Shutdown() {
  closed_ = true;
  static_cast<void>(shutdown(socket_.fd(), SHUT_RDWR));
}

}  // namespace lvmsync
