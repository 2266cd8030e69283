#include "sockets.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <memory>
#include <utility>

namespace lvmsync {

namespace {

// All the links that a receiver takes may come at once.
constexpr int kBacklog = 32;

// A socket of the kind that the numeric address takes. Returns 0, or an errno.
int OpenSocket(const std::string& host, uint16_t port, Descriptor* socket_out,
               std::unique_ptr<addrinfo, void (*)(addrinfo*)>* address) {
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return EADDRNOTAVAIL;
  }
  address->reset(found);
  Descriptor made(socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.valid()) return errno;
  *socket_out = std::move(made);
  return 0;
}

}  // namespace

int Await(int fd, short events, const Deadline& deadline, const ThreadPool& pool) {
  for (;;) {
    pollfd waiting = {fd, events, 0};
    const int ready = poll(&waiting, 1, kPollMilliseconds);
    if (ready > 0) return 0;
    if (ready < 0 && errno != EINTR) return errno;
    if (pool.stopping()) return ECANCELED;
    if (deadline.passed()) return ETIMEDOUT;
  }
}

int SendAll(int fd, const uint8_t* from, size_t bytes, const ThreadPool& pool) {
  while (bytes > 0) {
    const ssize_t sent = send(fd, from, bytes, MSG_NOSIGNAL);
    if (sent >= 0) {
      from += sent;
      bytes -= static_cast<size_t>(sent);
    } else if (errno == EAGAIN) {
      if (const int error = Await(fd, POLLOUT, Deadline::Never(), pool); error != 0) return error;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

int ListenOn(const std::string& host, Descriptor* made) {
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> address(nullptr, freeaddrinfo);
  if (const int error = OpenSocket(host, 0, made, &address); error != 0) return error;
  if (bind(made->fd(), address->ai_addr, address->ai_addrlen) != 0) return errno;
  if (listen(made->fd(), kBacklog) != 0) return errno;
  return 0;
}

int ListenAt(const std::string& path, Descriptor* made) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return ENAMETOOLONG;
  path.copy(address.sun_path, path.size());
  *made = Descriptor(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made->valid()) return errno;
  if (bind(made->fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return errno;
  }
  return listen(made->fd(), kBacklog) == 0 ? 0 : errno;
}

int ConnectTo(const SocketAddress& to, const Deadline& deadline, const ThreadPool& pool,
              Descriptor* made) {
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> address(nullptr, freeaddrinfo);
  if (const int error = OpenSocket(to.host, to.port, made, &address); error != 0) return error;
  if (connect(made->fd(), address->ai_addr, address->ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (const int error = Await(made->fd(), POLLOUT, deadline, pool); error != 0) return error;
  int error = 0;
  socklen_t bytes = sizeof(error);
  if (getsockopt(made->fd(), SOL_SOCKET, SO_ERROR, &error, &bytes) != 0) return errno;
  return error;
}

uint16_t PortOf(int fd) {
  sockaddr_storage address = {};
  socklen_t bytes = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) return 0;
  const auto* ip4 = reinterpret_cast<const sockaddr_in*>(&address);
  const auto* ip6 = reinterpret_cast<const sockaddr_in6*>(&address);
  return ntohs(address.ss_family == AF_INET6 ? ip6->sin6_port : ip4->sin_port);
}

}  // namespace lvmsync
