#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>

#include "backend.h"
#include "thread_pool.h"

namespace lvmsync {

// Requests as blocking calls on the threads of a pool, whose end comes first: its tasks know the
// backend.
class ThreadBackend : public Backend {
 public:
  explicit ThreadBackend(ThreadPool* pool) : pool_(pool), max_lanes_(pool->max_threads()) {}

  // How many requests may be carried out at a time; never more than the pool has threads.
  void SetMaxRequests(size_t requests);

  void Submit(std::shared_ptr<Batch> batch) override;

 private:
  // What one thread does: the requests of one batch, as long as there are any, and then another.
  void RunLane();
  // The batch to go on with; nullptr, and one lane less, when there is none.
  std::shared_ptr<Batch> Front();
  // With the lock held, and no lane left: nobody will take what is waiting.
  void FailAll(int error);

  ThreadPool* pool_;
  std::mutex mutex_;
  std::deque<std::shared_ptr<Batch>> batches_;
  size_t max_lanes_;
  size_t lanes_ = 0;
};

}  // namespace lvmsync
