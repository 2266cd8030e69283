#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>

#include "file.h"
#include "link.h"
#include "thread_pool.h"

namespace lvmsync {

// Makes a link of a socket that does not block; nullptr when there is no memory.
using LinkMaker = std::function<std::shared_ptr<Link>(Descriptor)>;

class Listener {
 public:
  // `socket` listens, and does not block.
  Listener(Descriptor socket, LinkMaker link_of)
      : socket_(std::move(socket)), link_of_(std::move(link_of)) {}

  int fd() const { return socket_.fd(); }

  // Waits for the next connection; nullptr when the listener was closed or the pool stops.
  std::shared_ptr<Link> Accept(const ThreadPool& pool) const;

  void Shutdown();

 private:
  const Descriptor socket_;
  const LinkMaker link_of_;
  std::atomic<bool> closed_{false};
};

}  // namespace lvmsync
