#include "content_tasks.h"

#include <cstring>
#include <utility>

#include "crc32c.h"
#include "zero_blocks.h"

namespace lvmsync {

Crc32cTask::Crc32cTask(const Napi::Function& done, Content content, uint32_t seed)
    : Task(done), content_(std::move(content)), crc_(seed) {}

void Crc32cTask::Run() { crc_ = Crc32c(crc_, content_.data, content_.bytes); }

Napi::Value Crc32cTask::Result(Napi::Env env) { return Napi::Number::New(env, crc_); }

ZeroBlocksTask::ZeroBlocksTask(const Napi::Function& done, Content content, size_t block_bytes)
    : Task(done), content_(std::move(content)), block_bytes_(block_bytes) {}

void ZeroBlocksTask::Run() { found_ = FindZeroBlocks(content_.data, content_.bytes, block_bytes_); }

Napi::Value ZeroBlocksTask::Result(Napi::Env env) {
  auto result = Napi::Uint8Array::New(env, found_.size());
  if (result.IsEmpty()) return env.Undefined();  // a worker that is being terminated
  if (!found_.empty()) std::memcpy(result.Data(), found_.data(), found_.size());
  return result;
}

}  // namespace lvmsync
