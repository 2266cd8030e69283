#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "file.h"
#include "link.h"

namespace lvmsync {

// A socket that does not block, and nothing between it and who reads or writes.
class SocketLink : public Link {
 public:
  explicit SocketLink(Descriptor socket) : socket_(std::move(socket)) {}

  int64_t Read(uint8_t* into, size_t bytes, int wait_milliseconds) override;
  int Write(const uint8_t* from, size_t bytes, const ThreadPool& pool) override;
  int End(const ThreadPool& pool) override;
  void Shutdown() override;

 private:
  const Descriptor socket_;
  // What is shut down on this side reads as if the other end had ended it.
  std::atomic<bool> closed_{false};
};

}  // namespace lvmsync
