#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <vector>

#include "backend.h"
#include "file.h"
#include "thread_pool.h"
#include "uring.h"

namespace lvmsync {

// Plain requests by an io_uring, from one thread of its own. Whatever is not plain, and whatever
// the ring did not do in full, goes to the pool, which must outlive it: so there is one place that
// knows about short transfers, bounces, edges and errors.
class UringBackend : public Backend {
 public:
  // Returns 0 and sets `backend`, or returns why there can be no ring (an errno).
  static int Create(ThreadPool* pool, uint32_t max_requests, std::unique_ptr<Backend>* backend);

  UringBackend(ThreadPool* pool, uint32_t max_requests, std::unique_ptr<Uring> ring,
               Descriptor wake);
  ~UringBackend() override;

  void Submit(std::shared_ptr<Batch> batch) override;

 private:
  // A request in flight in the ring.
  struct Slot {
    std::shared_ptr<Batch> batch;
    const Request* request;
  };

  static void* ThreadMain(void* backend);
  void Work();
  void Wake();
  void WatchWake();
  void CollectNewBatches();
  void StartRequests();
  void Start(const std::shared_ptr<Batch>& batch, const Request* request);
  void Completed(uint64_t tag, int32_t result);
  void Delegate(const std::shared_ptr<Batch>& batch, const Request* request);

  ThreadPool* pool_;
  std::unique_ptr<Uring> ring_;
  Descriptor wake_;
  std::atomic<bool> stopping_{false};
  pthread_t thread_ = {};
  bool has_thread_ = false;

  std::mutex mutex_;
  std::vector<std::shared_ptr<Batch>> new_batches_;

  // Of the ring's thread alone.
  std::deque<std::shared_ptr<Batch>> batches_;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
};

}  // namespace lvmsync
