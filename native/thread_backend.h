#pragma once

#include <memory>

#include "backend.h"
#include "thread_pool.h"

namespace lvmsync {

// Requests as blocking calls on the threads of a pool, which must outlive it.
class ThreadBackend : public Backend {
 public:
  explicit ThreadBackend(ThreadPool* pool) : pool_(pool) {}

  void Submit(std::shared_ptr<Batch> batch) override;

 private:
  ThreadPool* pool_;
};

}  // namespace lvmsync
