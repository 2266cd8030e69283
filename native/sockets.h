#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>

#include "file.h"
#include "thread_pool.h"

namespace lvmsync {

class Deadline {
 public:
  explicit Deadline(int milliseconds)
      : Deadline(Clock::now() + std::chrono::milliseconds(milliseconds)) {}
  static Deadline Never() { return Deadline(Clock::time_point::max()); }
  bool passed() const { return Clock::now() >= end_; }

 private:
  using Clock = std::chrono::steady_clock;
  explicit Deadline(Clock::time_point end) : end_(end) {}
  Clock::time_point end_;
};

// A numeric one.
struct SocketAddress {
  std::string host;
  uint16_t port;
};

// Returns 0 when the socket is ready for `events`, or an errno.
int Await(int fd, short events, const Deadline& deadline, const ThreadPool& pool);

// Sends all of it. Returns 0 or an errno.
int SendAll(int fd, const uint8_t* from, size_t bytes, const ThreadPool& pool);

// These make a socket that does not block. They return 0, or an errno.
int ListenOn(const std::string& host, Descriptor* made);
int ListenAt(const std::string& path, Descriptor* made);  // a unix socket
int ConnectTo(const SocketAddress& to, const Deadline& deadline, const ThreadPool& pool,
              Descriptor* made);

// The port of a socket that listens.
uint16_t PortOf(int fd);

}  // namespace lvmsync
