#include "environment.h"

#include <utility>

#include "uring_backend.h"

namespace lvmsync {

namespace {

// Enough requests in flight to saturate a disk.
constexpr size_t kThreads = 16;
// The links that a receiver takes (docs/protocol.md), each read and written, and who accepts them.
constexpr size_t kWaitingThreads = 2 * 32 + 1;

}  // namespace

Environment::Environment(Napi::Env env)
    : env_(env),
      operations_(env),
      pool_(kThreads),
      waiting_pool_(kWaitingThreads),
      threads_(std::make_unique<ThreadBackend>(&pool_)) {
  // Hooks run last in, first out: this one before those that `operations_` has registered, so that
  // no thread of ours is left when they run.
  napi_add_env_cleanup_hook(env, CleanUp, this);
}

void Environment::CleanUp(void* environment) {
  auto* self = static_cast<Environment*>(environment);
  self->uring_.reset();
  self->waiting_pool_.Stop();
  self->pool_.Stop();
  self->threads_.reset();
  self->operations_.Abandon();
  self->files_.clear();
  self->listeners_.Clear();
  self->links_.Clear();
  self->sealers_.Clear();
}

void Environment::SetQueueDepth(uint32_t requests) {
  queue_depth_ = requests;
  threads_->SetMaxRequests(requests);
}

int Environment::StartUring() {
  if (!uring_error_) uring_error_ = UringBackend::Create(&pool_, queue_depth_, &uring_);
  return *uring_error_;
}

uint32_t Environment::AddFile(std::shared_ptr<File> file, BackendKind backend) {
  // Through the page cache the pool is faster: a ring would copy on its one thread.
  const bool uring = backend == BackendKind::kUring && file->direct() && StartUring() == 0;
  files_.emplace(++last_handle_, OpenFile{std::move(file), uring ? uring_.get() : threads_.get()});
  return last_handle_;
}

const OpenFile* Environment::FindFile(double handle) const {
  if (!(handle >= 1 && handle <= last_handle_)) return nullptr;
  const auto entry = files_.find(static_cast<uint32_t>(handle));
  return entry == files_.end() ? nullptr : &entry->second;
}

void Environment::RemoveFile(double handle) { files_.erase(static_cast<uint32_t>(handle)); }

void Environment::StartOn(ThreadPool* pool, std::unique_ptr<Task> task) {
  Task* running = task.get();
  operations_.Add(env_, std::move(task));
  const int error = pool->Submit([this, running] {
    running->Run();
    Complete(running);
  });
  if (error != 0) {
    running->Fail(error);
    Complete(running);
  }
}

void Environment::StartBatch(Backend* backend, std::unique_ptr<Operation> operation,
                             std::shared_ptr<Batch> batch) {
  operations_.Add(env_, std::move(operation));
  backend->Submit(std::move(batch));
}

}  // namespace lvmsync
