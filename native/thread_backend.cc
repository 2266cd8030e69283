#include "thread_backend.h"

#include <algorithm>
#include <optional>

#include "transfer.h"

namespace lvmsync {

namespace {

// What one thread does for a batch: requests, as long as there are any.
void RunLane(const ThreadPool& pool, Batch* batch) {
  while (!pool.stopping()) {
    const Request* request = batch->Take();
    if (request == nullptr) return;
    batch->Finish(batch->failed() ? std::nullopt : Transfer(*batch, *request));
  }
}

}  // namespace

void ThreadBackend::Submit(std::shared_ptr<Batch> batch) {
  const size_t lanes = std::min(batch->requests().size(), pool_->max_threads());
  int error = 0;
  size_t started = 0;
  while (started < lanes && error == 0) {
    error = pool_->Submit([pool = pool_, batch] { RunLane(*pool, batch.get()); });
    if (error == 0) ++started;
  }
  if (started > 0) return;
  while (const Request* request = batch->Take()) {
    batch->Finish(Failure{error, request->offset, request->length});
  }
}

}  // namespace lvmsync
