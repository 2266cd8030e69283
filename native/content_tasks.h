#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "environment.h"
#include "pages.h"
#include "plan.h"
#include "sha256.h"
#include "zero_blocks.h"

namespace lvmsync {

// Bytes of a JavaScript buffer that stay where they are while a task looks at them.
struct Content {
  const uint8_t* data;
  size_t bytes;
  // Owns the bytes when they come from `allocate`, and nullptr otherwise: then no other thread may
  // look at them, since Node frees them when an environment ends.
  std::shared_ptr<const Pages> memory;
};

// Looks at content. Where there is no thread for that it is done at once.
class ContentTask : public Task {
 public:
  using Task::Task;
  void Fail(int) override { Run(); }
};

// Answers the CRC-32C of the content.
class Crc32cTask : public ContentTask {
 public:
  Crc32cTask(const Napi::Function& done, Content content, uint32_t seed);
  void Run() override;
  Napi::Value Result(Napi::Env env) override;

 private:
  Content content_;
  uint32_t crc_;
};

// Answers a Uint8Array: 1 for each block that is all zeroes.
class ZeroBlocksTask : public ContentTask {
 public:
  ZeroBlocksTask(const Napi::Function& done, Content content, size_t block_bytes);
  void Run() override;
  Napi::Value Result(Napi::Env env) override;

 private:
  Content content_;
  size_t block_bytes_;
  std::vector<uint8_t> found_;
};

// Answers the CRC-32C of the content, or the Uint8Array of ZeroBlocksTask where a block of it is
// all zeroes.
class ExamineTask : public ContentTask {
 public:
  ExamineTask(const Napi::Function& done, Content content, size_t block_bytes, uint32_t seed);
  void Run() override;
  Napi::Value Result(Napi::Env env) override;

 private:
  Content content_;
  size_t block_bytes_;
  uint32_t seed_;
  Examined examined_ = {};
};

// Answers a Uint8Array: 1 for each block that is the same in both contents, which are as long.
class EqualBlocksTask : public ContentTask {
 public:
  EqualBlocksTask(const Napi::Function& done, Content one, Content other, size_t block_bytes);
  void Run() override;
  Napi::Value Result(Napi::Env env) override;

 private:
  Content one_;
  Content other_;
  size_t block_bytes_;
  std::vector<uint8_t> found_;
};

constexpr size_t kHashBytes = 16;

// Answers a Uint8Array: for each piece of the content the first 16 bytes of its SHA-256.
class HashTask : public ContentTask {
 public:
  HashTask(const Napi::Function& done, Sha256 sha256, Content content, std::vector<Piece> pieces);
  void Run() override;
  Napi::Value Result(Napi::Env env) override;

 private:
  Sha256 sha256_;
  Content content_;
  std::vector<Piece> pieces_;
  std::vector<uint8_t> hashes_;
};

}  // namespace lvmsync
