#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "environment.h"
#include "pages.h"

namespace lvmsync {

// Where the bytes of an input go, and what keeps that memory.
struct InputSpan {
  uint8_t* memory;
  size_t bytes;
  std::shared_ptr<const Pages> pages;
};

// Fills a span from a pipe or socket: one call for what would be many reads. Returns early with
// what has come when nothing more comes for a while. Answers the number of bytes, 0 at the end of
// the input, or a negative errno.
class InputTask : public Task {
 public:
  InputTask(const Napi::Function& done, const Napi::Object& buffer, const ThreadPool& pool, int fd,
            InputSpan span);
  void Run() override;
  void Fail(int error) override { result_ = -error; }
  Napi::Value Result(Napi::Env env) override;

 private:
  // Returns 1 when there is something to read, 0 when there was nothing for a while, or a negative
  // errno.
  int Await() const;

  Napi::ObjectReference buffer_;
  const ThreadPool& pool_;
  int fd_;
  InputSpan span_;
  int64_t result_ = 0;
};

// Lets a pipe hold as much as an unprivileged user may, so that the writer need not wait so often.
// Anything else, or a refusal, is left as it is.
void EnlargePipe(int fd);

}  // namespace lvmsync
