#pragma once

#include <pthread.h>

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <vector>

namespace lvmsync {

// How often a waiting thread looks whether it is to end.
constexpr int kPollMilliseconds = 100;

// A few threads of our own: libuv's four would starve everything else that Node does with files.
class ThreadPool {
 public:
  explicit ThreadPool(size_t max_threads) : max_threads_(max_threads) {}
  ~ThreadPool() { Stop(); }
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  size_t max_threads() const { return max_threads_; }
  // Long tasks look at this and return early.
  bool stopping() const { return stopping_; }

  // Runs `task` on a thread, in the order of submission; creates a thread when all are busy.
  // Returns 0, or an errno when there is no thread and none can be had.
  int Submit(std::function<void()> task);

  // Waits for the tasks that run and drops the others. Nothing can be submitted afterwards.
  void Stop();

 private:
  static void* ThreadMain(void* pool);
  void Work();
  int AddThread();

  const size_t max_threads_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> tasks_;
  std::vector<pthread_t> threads_;
  size_t idle_ = 0;
};

}  // namespace lvmsync
