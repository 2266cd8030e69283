#include "input_task.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "crc32c.h"
#include "thread_pool.h"

namespace lvmsync {

namespace {

// The checksum meets what has just been read in the cache of its core.
constexpr size_t kStepBytes = 256 << 10;

}  // namespace

InputTask::InputTask(const Napi::Function& done, const Napi::Object& buffer, const ThreadPool& pool,
                     std::shared_ptr<Input> input, InputSpan span, std::optional<uint32_t> crc_seed)
    : Task(done),
      buffer_(Napi::Persistent(buffer)),
      pool_(pool),
      input_(std::move(input)),
      span_(std::move(span)),
      crc_(crc_seed) {}

void InputTask::Run() {
  result_ = Fill();
  if (!crc_ || result_ != static_cast<int64_t>(span_.bytes)) return;
  // What stands in the way of reading on is met by the next read.
  const int64_t got = input_->Read(ahead_.data(), ahead_.size(), 0);
  ahead_bytes_ = static_cast<size_t>(std::max<int64_t>(got, 0));
}

int64_t InputTask::Fill() {
  size_t filled = 0;
  while (filled < span_.bytes) {
    uint8_t* memory = span_.memory + filled;
    const size_t wanted = std::min(span_.bytes - filled, kStepBytes);
    if (span_.pages != nullptr) span_.pages->FaultIn(memory, wanted, span_.bytes);
    const int64_t got = input_->Read(memory, wanted, kPollMilliseconds);
    if (got == -EAGAIN) {
      if (pool_.stopping() || filled > 0) break;
      continue;
    }
    if (got < 0) return got;
    if (got == 0) break;
    if (crc_) crc_ = Crc32c(*crc_, memory, static_cast<size_t>(got));
    filled += static_cast<size_t>(got);
  }
  return static_cast<int64_t>(filled);
}

Napi::Value InputTask::Result(Napi::Env env) {
  auto answer = Napi::Object::New(env);
  if (answer.IsEmpty()) return env.Undefined();  // a worker that is being terminated
  answer.Set("bytes", static_cast<double>(result_));
  answer.Set("crc", crc_.value_or(0));
  if (ahead_bytes_ > 0) {
    answer.Set("ahead", Napi::Buffer<uint8_t>::Copy(env, ahead_.data(), ahead_bytes_));
  }
  return answer;
}

}  // namespace lvmsync
