#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "environment.h"
#include "input.h"
#include "pages.h"

namespace lvmsync {

// Where the bytes of an input go, and what keeps that memory.
struct InputSpan {
  uint8_t* memory;
  size_t bytes;
  std::shared_ptr<const Pages> pages;
};

// What is read beyond a record: as much as the header of the next one.
constexpr size_t kAheadBytes = 32;

// Fills a span: one call for what would be many reads. Returns early with what has come when
// nothing more comes for a while. Answers { bytes, crc, ahead }: the number of bytes, 0 at the end
// of the input, or a negative errno; where a seed was given their CRC-32C, and what was there
// already behind a span that was filled, up to kAheadBytes of it.
class InputTask : public Task {
 public:
  InputTask(const Napi::Function& done, const Napi::Object& buffer, const ThreadPool& pool,
            std::shared_ptr<Input> input, InputSpan span, std::optional<uint32_t> crc_seed);
  void Run() override;
  void Fail(int error) override { result_ = -error; }
  Napi::Value Result(Napi::Env env) override;

 private:
  int64_t Fill();

  Napi::ObjectReference buffer_;
  const ThreadPool& pool_;
  std::shared_ptr<Input> input_;
  InputSpan span_;
  std::optional<uint32_t> crc_;
  int64_t result_ = 0;
  std::array<uint8_t, kAheadBytes> ahead_ = {};
  size_t ahead_bytes_ = 0;
};

}  // namespace lvmsync
