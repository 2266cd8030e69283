#include "uring_backend.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <utility>

#include "thread.h"
#include "transfer.h"

namespace lvmsync {

namespace {

// The tag of the entry that watches `wake_`; others are indices of slots.
constexpr uint64_t kWakeTag = UINT64_MAX;

}  // namespace

int UringBackend::Create(ThreadPool* pool, uint32_t max_requests,
                         std::unique_ptr<Backend>* backend) {
  std::unique_ptr<Uring> ring;
  // One entry more, which watches `wake_`.
  if (const int error = Uring::Create(max_requests + 1, &ring); error != 0) return error;
  Descriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return errno;
  auto made = std::make_unique<UringBackend>(pool, max_requests, std::move(ring), std::move(wake));
  if (const int error = StartThread(ThreadMain, made.get(), &made->thread_); error != 0) {
    return error;
  }
  made->has_thread_ = true;
  *backend = std::move(made);
  return 0;
}

UringBackend::UringBackend(ThreadPool* pool, uint32_t max_requests, std::unique_ptr<Uring> ring,
                           Descriptor wake)
    : pool_(pool), ring_(std::move(ring)), wake_(std::move(wake)), slots_(max_requests) {
  for (uint32_t index = 0; index < max_requests; ++index) free_slots_.push_back(index);
}

UringBackend::~UringBackend() {
  if (!has_thread_) return;
  stopping_ = true;
  Wake();
  pthread_join(thread_, nullptr);
}

void UringBackend::Submit(std::shared_ptr<Batch> batch) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    new_batches_.push_back(std::move(batch));
  }
  Wake();
}

void UringBackend::Wake() {
  const uint64_t one = 1;
  // Fails only when the counter is full, and then the thread is awake anyway.
  static_cast<void>(!write(wake_.fd(), &one, sizeof(one)));
}

void* UringBackend::ThreadMain(void* backend) {
  static_cast<UringBackend*>(backend)->Work();
  return nullptr;
}

void UringBackend::Work() {
  WatchWake();
  for (;;) {
    if (stopping_) {
      if (free_slots_.size() == slots_.size()) return;
    } else {
      CollectNewBatches();
      StartRequests();
    }
    const int error = ring_->Enter();
    if (error == EAGAIN || error == EBUSY || error == ENOMEM) {
      sched_yield();  // the kernel is short of something: completions bring it back
    } else if (error != 0 && error != EINTR) {
      std::abort();  // a broken ring has requests in flight that nobody would ever answer
    }
    ring_->Reap([this](uint64_t tag, int32_t result) { Completed(tag, result); });
  }
}

void UringBackend::WatchWake() {
  io_uring_sqe* entry = ring_->Prepare();
  entry->opcode = IORING_OP_POLL_ADD;
  entry->fd = wake_.fd();
  entry->poll_events = POLLIN;
  entry->user_data = kWakeTag;
}

void UringBackend::CollectNewBatches() {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::move(new_batches_.begin(), new_batches_.end(), std::back_inserter(batches_));
  new_batches_.clear();
}

void UringBackend::StartRequests() {
  while (!batches_.empty() && !free_slots_.empty()) {
    const std::shared_ptr<Batch>& batch = batches_.front();
    const Request* request = batch->Take();
    if (request == nullptr) {
      batches_.pop_front();
    } else if (batch->failed()) {
      batch->Finish(std::nullopt);
    } else if (request->way == Way::kPlain) {
      Start(batch, request);
    } else {
      Delegate(batch, request);
    }
  }
}

void UringBackend::Start(const std::shared_ptr<Batch>& batch, const Request* request) {
  const uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[slot] = {batch, request};
  io_uring_sqe* entry = ring_->Prepare();
  entry->opcode = batch->direction() == Direction::kRead ? IORING_OP_READ : IORING_OP_WRITE;
  entry->fd = batch->file().fd();
  entry->off = request->offset;
  entry->len = request->length;
  entry->addr = reinterpret_cast<uintptr_t>(request->memory);
  entry->user_data = slot;
}

void UringBackend::Completed(uint64_t tag, int32_t result) {
  if (tag == kWakeTag) {
    uint64_t count = 0;
    static_cast<void>(!read(wake_.fd(), &count, sizeof(count)));
    WatchWake();
    return;
  }
  const Slot slot = std::move(slots_[tag]);
  slots_[tag] = {};
  free_slots_.push_back(static_cast<uint32_t>(tag));
  if (result >= 0 && static_cast<uint32_t>(result) == slot.request->length) {
    slot.batch->Finish(std::nullopt);
  } else {
    Delegate(slot.batch, slot.request);
  }
}

void UringBackend::Delegate(const std::shared_ptr<Batch>& batch, const Request* request) {
  const int error = pool_->Submit([batch, request] { batch->Finish(Transfer(*batch, *request)); });
  if (error != 0) batch->Finish(Failure{error, request->offset, request->length});
}

}  // namespace lvmsync
