#include "batch.h"

#include <numeric>
#include <utility>

namespace lvmsync {

Batch::Batch(std::shared_ptr<File> file, Direction direction, std::vector<Request> requests,
             std::shared_ptr<const Pages> memory, std::function<void()> done)
    : file_(std::move(file)),
      direction_(direction),
      requests_(std::move(requests)),
      memory_(std::move(memory)),
      done_(std::move(done)),
      unfinished_(requests_.size()),
      bytes_(std::accumulate(
          requests_.begin(), requests_.end(), size_t{0},
          [](size_t sum, const Request& request) { return sum + request.length; })) {}

const Request* Batch::Take() {
  const size_t index = next_.fetch_add(1);
  if (index >= requests_.size()) return nullptr;
  const Request& request = requests_[index];
  if (memory_ != nullptr) memory_->FaultIn(request.memory, request.length, bytes_);
  return &request;
}

void Batch::Finish(const std::optional<Failure>& failure) {
  if (failure) {
    const std::lock_guard<std::mutex> lock(failure_mutex_);
    if (!failure_ || failure->offset < failure_->offset) failure_ = failure;
    failed_ = true;
  }
  if (unfinished_.fetch_sub(1) == 1) done_();
}

}  // namespace lvmsync
