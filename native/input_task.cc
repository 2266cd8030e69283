#include "input_task.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace lvmsync {

namespace {

constexpr int kPipeBytes = 1 << 20;  // /proc/sys/fs/pipe-max-size, unless it was changed
// How often a waiting thread looks whether it is to end.
constexpr int kPollMilliseconds = 100;

}  // namespace

InputTask::InputTask(const Napi::Function& done, const Napi::Object& buffer, const ThreadPool& pool,
                     int fd, InputSpan span)
    : Task(done), buffer_(Napi::Persistent(buffer)), pool_(pool), fd_(fd), span_(std::move(span)) {}

int InputTask::Await() const {
  pollfd waiting = {fd_, POLLIN, 0};
  const int ready = poll(&waiting, 1, kPollMilliseconds);
  if (ready >= 0) return ready;
  return errno == EINTR ? 0 : -errno;
}

void InputTask::Run() {
  size_t filled = 0;
  while (filled < span_.bytes) {
    const int ready = Await();
    if (ready < 0) {
      result_ = ready;
      return;
    }
    if (ready == 0) {
      if (pool_.stopping() || filled > 0) break;
      continue;
    }
    const ssize_t got = read(fd_, span_.memory + filled, span_.bytes - filled);
    if (got == 0) break;
    if (got > 0) {
      filled += static_cast<size_t>(got);
    } else if (errno != EINTR && errno != EAGAIN) {
      result_ = -errno;
      return;
    }
  }
  result_ = static_cast<int64_t>(filled);
}

Napi::Value InputTask::Result(Napi::Env env) {
  return Napi::Number::New(env, static_cast<double>(result_));
}

void EnlargePipe(int fd) { static_cast<void>(fcntl(fd, F_SETPIPE_SZ, kPipeBytes)); }

}  // namespace lvmsync
