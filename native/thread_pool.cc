#include "thread_pool.h"

#include <cerrno>
#include <utility>

#include "thread.h"

namespace lvmsync {

int ThreadPool::Submit(std::function<void()> task) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (stopping_) return ECANCELED;
    if (idle_ <= tasks_.size() && threads_.size() < max_threads_) {
      const int error = AddThread();
      if (error != 0 && threads_.empty()) return error;
    }
    tasks_.push_back(std::move(task));
  }
  wake_.notify_one();
  return 0;
}

void ThreadPool::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    tasks_.clear();
  }
  wake_.notify_all();
  for (const pthread_t thread : threads_) pthread_join(thread, nullptr);
  threads_.clear();
}

int ThreadPool::AddThread() {
  pthread_t thread = {};
  const int error = StartThread(ThreadMain, this, &thread);
  if (error == 0) threads_.push_back(thread);
  return error;
}

void* ThreadPool::ThreadMain(void* pool) {
  static_cast<ThreadPool*>(pool)->Work();
  return nullptr;
}

void ThreadPool::Work() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    ++idle_;
    wake_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    --idle_;
    if (stopping_) return;
    {
      const std::function<void()> task = std::move(tasks_.front());
      tasks_.pop_front();
      lock.unlock();
      task();
    }
    lock.lock();
  }
}

}  // namespace lvmsync
