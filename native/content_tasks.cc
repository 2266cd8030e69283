#include "content_tasks.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "crc32c.h"

namespace lvmsync {

namespace {

Napi::Value Bytes(Napi::Env env, const std::vector<uint8_t>& found) {
  auto result = Napi::Uint8Array::New(env, found.size());
  if (result.IsEmpty()) return env.Undefined();  // a worker that is being terminated
  if (!found.empty()) std::memcpy(result.Data(), found.data(), found.size());
  return result;
}

}  // namespace

Crc32cTask::Crc32cTask(const Napi::Function& done, Content content, uint32_t seed)
    : ContentTask(done), content_(std::move(content)), crc_(seed) {}

void Crc32cTask::Run() { crc_ = Crc32c(crc_, content_.data, content_.bytes); }

Napi::Value Crc32cTask::Result(Napi::Env env) { return Napi::Number::New(env, crc_); }

ZeroBlocksTask::ZeroBlocksTask(const Napi::Function& done, Content content, size_t block_bytes)
    : ContentTask(done), content_(std::move(content)), block_bytes_(block_bytes) {}

void ZeroBlocksTask::Run() { found_ = FindZeroBlocks(content_.data, content_.bytes, block_bytes_); }

Napi::Value ZeroBlocksTask::Result(Napi::Env env) { return Bytes(env, found_); }

ExamineTask::ExamineTask(const Napi::Function& done, Content content, size_t block_bytes,
                         uint32_t seed)
    : ContentTask(done), content_(std::move(content)), block_bytes_(block_bytes), seed_(seed) {}

void ExamineTask::Run() { examined_ = Examine(content_.data, content_.bytes, block_bytes_, seed_); }

Napi::Value ExamineTask::Result(Napi::Env env) {
  if (examined_.zero_blocks.empty()) return Napi::Number::New(env, examined_.crc);
  return Bytes(env, examined_.zero_blocks);
}

EqualBlocksTask::EqualBlocksTask(const Napi::Function& done, Content one, Content other,
                                 size_t block_bytes)
    : ContentTask(done),
      one_(std::move(one)),
      other_(std::move(other)),
      block_bytes_(block_bytes) {}

void EqualBlocksTask::Run() {
  found_.clear();
  for (size_t start = 0; start < one_.bytes; start += block_bytes_) {
    const size_t bytes = std::min(block_bytes_, one_.bytes - start);
    found_.push_back(std::memcmp(one_.data + start, other_.data + start, bytes) == 0 ? 1 : 0);
  }
}

Napi::Value EqualBlocksTask::Result(Napi::Env env) { return Bytes(env, found_); }

HashTask::HashTask(const Napi::Function& done, Sha256 sha256, Content content,
                   std::vector<Piece> pieces)
    : ContentTask(done),
      sha256_(sha256),
      content_(std::move(content)),
      pieces_(std::move(pieces)) {}

void HashTask::Run() {
  hashes_.clear();
  hashes_.reserve(pieces_.size() * kHashBytes);
  for (const Piece& piece : pieces_) {
    uint8_t digest[kSha256Bytes];
    sha256_(piece.memory, piece.length, digest);
    hashes_.insert(hashes_.end(), digest, digest + kHashBytes);
  }
}

Napi::Value HashTask::Result(Napi::Env env) { return Bytes(env, hashes_); }

}  // namespace lvmsync
