#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "file.h"
#include "pages.h"
#include "plan.h"

namespace lvmsync {

enum class Direction { kRead, kWrite };

// A request that failed. `error` is 0 when the device ended where it should not.
struct Failure {
  int error;
  uint64_t offset;
  uint32_t length;
};

// The requests of one call while they are in flight, and what became of them. Safe from any
// thread.
class Batch {
 public:
  // `memory` is kept as long as the batch. `done` runs once, on the thread that finishes the last
  // request.
  Batch(std::shared_ptr<File> file, Direction direction, std::vector<Request> requests,
        std::shared_ptr<const Pages> memory, std::function<void()> done);

  File& file() const { return *file_; }
  Direction direction() const { return direction_; }
  const std::vector<Request>& requests() const { return requests_; }

  // The next request that nobody has taken yet, its memory at hand, or nullptr. Every taken request
  // must be finished.
  const Request* Take();
  // True once every request has been taken.
  bool taken() const { return next_ >= requests_.size(); }
  // True once a request has failed: what is not started need not be.
  bool failed() const { return failed_; }
  void Finish(const std::optional<Failure>& failure);

  // The failure with the lowest offset. Only after `done`.
  const std::optional<Failure>& failure() const { return failure_; }

 private:
  std::shared_ptr<File> file_;
  Direction direction_;
  std::vector<Request> requests_;
  std::shared_ptr<const Pages> memory_;
  std::function<void()> done_;
  std::atomic<size_t> next_{0};
  std::atomic<size_t> unfinished_;
  std::atomic<bool> failed_{false};
  const size_t bytes_;  // of all requests
  std::mutex failure_mutex_;
  std::optional<Failure> failure_;
};

}  // namespace lvmsync
