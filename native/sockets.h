#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "file.h"
#include "thread_pool.h"

namespace lvmsync {

// How often a waiting thread looks whether it is to end.
constexpr int kPollMilliseconds = 100;

class Deadline {
 public:
  // Never, when it is negative.
  explicit Deadline(int milliseconds)
      : end_(milliseconds < 0 ? Clock::time_point::max()
                              : Clock::now() + std::chrono::milliseconds(milliseconds)) {}
  bool passed() const { return Clock::now() >= end_; }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point end_;
};

// A numeric one.
struct SocketAddress {
  std::string host;
  uint16_t port;
};

// Returns 0 when the socket is ready for `events`, or an errno.
int Await(int fd, short events, const Deadline& deadline, const ThreadPool& pool);

// These two make a socket that does not block. They return 0, or an errno.
int ListenOn(const std::string& host, Descriptor* made);
int ConnectTo(const SocketAddress& to, const Deadline& deadline, const ThreadPool& pool,
              Descriptor* made);

// The port of a socket that listens.
uint16_t PortOf(int fd);

}  // namespace lvmsync
