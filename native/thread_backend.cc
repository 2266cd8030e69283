#include "thread_backend.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "transfer.h"

namespace lvmsync {

void ThreadBackend::SetMaxRequests(size_t requests) {
  const std::lock_guard<std::mutex> lock(mutex_);
  max_lanes_ = std::min(requests, pool_->max_threads());
}

void ThreadBackend::Submit(std::shared_ptr<Batch> batch) {
  size_t wanted = 0;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    const size_t free = max_lanes_ > lanes_ ? max_lanes_ - lanes_ : 0;
    wanted = std::min(batch->requests().size(), free);
    lanes_ += wanted;
    batches_.push_back(std::move(batch));
  }
  for (size_t started = 0; started < wanted; ++started) {
    const int error = pool_->Submit([this] { RunLane(); });
    if (error == 0) continue;
    const std::lock_guard<std::mutex> lock(mutex_);
    lanes_ -= wanted - started;
    if (lanes_ == 0) FailAll(error);
    return;
  }
}

void ThreadBackend::RunLane() {
  const std::shared_ptr<Batch> batch = Front();
  if (batch == nullptr) return;
  while (!pool_->stopping()) {
    const Request* request = batch->Take();
    if (request == nullptr) break;
    batch->Finish(batch->failed() ? std::nullopt : Transfer(*batch, *request));
  }
  // Behind the other tasks that wait for a thread. Fails only when the pool is being stopped.
  static_cast<void>(pool_->Submit([this] { RunLane(); }));
}

std::shared_ptr<Batch> ThreadBackend::Front() {
  const std::lock_guard<std::mutex> lock(mutex_);
  while (!batches_.empty() && batches_.front()->taken()) batches_.pop_front();
  if (!batches_.empty() && lanes_ <= max_lanes_) return batches_.front();
  --lanes_;
  return nullptr;
}

void ThreadBackend::FailAll(int error) {
  for (const std::shared_ptr<Batch>& batch : batches_) {
    while (const Request* request = batch->Take()) {
      batch->Finish(Failure{error, request->offset, request->length});
    }
  }
  batches_.clear();
}

}  // namespace lvmsync
