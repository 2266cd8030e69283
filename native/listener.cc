#include "listener.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>

namespace lvmsync {

std::shared_ptr<Link> Listener::Accept(const ThreadPool& pool) const {
  while (!closed_ && !pool.stopping()) {
    pollfd waiting = {socket_.fd(), POLLIN, 0};
    if (poll(&waiting, 1, kPollMilliseconds) <= 0) continue;
    Descriptor accepted(accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!accepted.valid()) {  // gone again, or no descriptor left at the moment
      if (errno == EMFILE || errno == ENFILE) poll(nullptr, 0, kPollMilliseconds);
      continue;
    }
    if (auto link = link_of_(std::move(accepted))) return link;
  }
  return nullptr;
}

void Listener::Shutdown() {
  closed_ = true;
  static_cast<void>(shutdown(socket_.fd(), SHUT_RDWR));
}

}  // namespace lvmsync
