#pragma once

#include <memory>

#include "batch.h"

namespace lvmsync {

// What carries out the requests of batches.
class Backend {
 public:
  // Together with the end of the pool that it uses, waits for the requests that run. Those that
  // have not started are dropped, and `done` of their batches is never called.
  virtual ~Backend() = default;

  // Starts a batch of at least one request and returns. Each of its requests is taken and finished
  // once, unless the backend is destroyed first.
  virtual void Submit(std::shared_ptr<Batch> batch) = 0;
};

}  // namespace lvmsync
