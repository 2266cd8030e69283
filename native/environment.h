#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>
#include <utility>

#include "backend.h"
#include "file.h"
#include "link.h"
#include "listener.h"
#include "operation.h"
#include "pages.h"
#include "ssh_sealer.h"
#include "thread_backend.h"
#include "thread_pool.h"

namespace lvmsync {

// Work for one pool thread, and its answer.
class Task : public Operation {
 public:
  using Operation::Operation;
  // On a pool thread.
  virtual void Run() = 0;
  // Instead of Run, when there is no thread.
  virtual void Fail(int error) = 0;
};

// Where random reads of 4 KiB stop getting faster.
constexpr uint32_t kDefaultQueueDepth = 128;

// Objects that go by number, so that no object of JavaScript's can be taken for one.
template <typename Object>
class Handles {
 public:
  uint32_t Add(std::shared_ptr<Object> object) {
    objects_.emplace(++last_, std::move(object));
    return last_;
  }
  // nullptr when there is no such object.
  std::shared_ptr<Object> Find(double handle) const {
    if (!(handle >= 1 && handle <= last_)) return nullptr;
    const auto entry = objects_.find(static_cast<uint32_t>(handle));
    return entry == objects_.end() ? nullptr : entry->second;
  }
  void Remove(double handle) { objects_.erase(static_cast<uint32_t>(handle)); }
  void Clear() { objects_.clear(); }

 private:
  std::unordered_map<uint32_t, std::shared_ptr<Object>> objects_;
  uint32_t last_ = 0;
};

enum class BackendKind { kThreads, kUring };

// A file and what carries out its batches.
struct OpenFile {
  std::shared_ptr<File> file;
  Backend* backend;
};

// Everything that belongs to one JavaScript environment: the main thread has one, and so has each
// worker thread.
class Environment {
 public:
  explicit Environment(Napi::Env env);

  Napi::Env env() const { return env_; }

  // How many requests may be in flight. An io_uring keeps what it was started with.
  void SetQueueDepth(uint32_t requests);

  // Starts the io_uring backend, at the first call. Returns 0, or why there is none (an errno).
  int StartUring();

  // Open files go by number, so that no object of JavaScript's can be taken for one.
  uint32_t AddFile(std::shared_ptr<File> file, BackendKind backend);
  // nullptr when there is no such file.
  const OpenFile* FindFile(double handle) const;
  void RemoveFile(double handle);

  Handles<Listener>& listeners() { return listeners_; }
  Handles<Link>& links() { return links_; }
  Handles<SshSealer>& sealers() { return sealers_; }

  const std::shared_ptr<PageRegistry>& pages() const { return pages_; }
  const ThreadPool& pool() const { return pool_; }
  // For what waits for the other end, which may keep its thread for as long as that takes.
  const ThreadPool& waiting_pool() const { return waiting_pool_; }

  void StartTask(std::unique_ptr<Task> task) { StartOn(&pool_, std::move(task)); }
  void StartWaitingTask(std::unique_ptr<Task> task) { StartOn(&waiting_pool_, std::move(task)); }
  void StartBatch(Backend* backend, std::unique_ptr<Operation> operation,
                  std::shared_ptr<Batch> batch);
  void Complete(Operation* operation) { operations_.Complete(operation); }

 private:
  // At the end of the environment: joins all threads.
  static void CleanUp(void* environment);

  void StartOn(ThreadPool* pool, std::unique_ptr<Task> task);

  Napi::Env env_;
  OperationQueue operations_;
  std::shared_ptr<PageRegistry> pages_ = std::make_shared<PageRegistry>();
  std::unordered_map<uint32_t, OpenFile> files_;
  uint32_t last_handle_ = 0;
  Handles<Listener> listeners_;
  Handles<Link> links_;
  Handles<SshSealer> sealers_;
  uint32_t queue_depth_ = kDefaultQueueDepth;
  ThreadPool pool_;
  ThreadPool waiting_pool_;
  std::unique_ptr<ThreadBackend> threads_;
  std::unique_ptr<Backend> uring_;
  std::optional<int> uring_error_;
};

}  // namespace lvmsync
