// The addon's face: one function for each export, in the rhythm "validate, interpret, act".

#include <napi.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "arguments.h"
#include "batch_operation.h"
#include "content_tasks.h"
#include "crc32c.h"
#include "environment.h"
#include "file_tasks.h"
#include "input.h"
#include "link_exports.h"
#include "pages.h"
#include "plan.h"
#include "sha256.h"
#include "ssh_exports.h"
#include "start_input.h"
#include "tls_exports.h"

namespace lvmsync {

namespace {

constexpr size_t kInlineBytes = 4096;  // a thread would take longer to wake than these take
constexpr double kMaxQueueDepth = 1024;
constexpr double kMaxAllocation = 4294967295;  // positions in a batch are 32 bits

// What the memory of an ArrayBuffer holds of its pages.
class Lease {
 public:
  Lease(std::shared_ptr<PageRegistry> registry, std::shared_ptr<Pages> pages)
      : registry_(std::move(registry)), pages_(std::move(pages)) {
    registry_->Add(pages_);
  }
  ~Lease() { registry_->Remove(*pages_); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  PageRegistry* registry() const { return registry_.get(); }
  Pages* pages() const { return pages_.get(); }

 private:
  std::shared_ptr<PageRegistry> registry_;
  std::shared_ptr<Pages> pages_;
};

// The open file that argument 0 stands for, or nullptr.
const OpenFile* FileOf(const Napi::CallbackInfo& info) {
  if (!info[0].IsNumber()) return nullptr;
  return EnvironmentOf(info)->FindFile(info[0].As<Napi::Number>().DoubleValue());
}

// setQueueDepth(requests)
Napi::Value SetQueueDepth(const Napi::CallbackInfo& info) {
  const double requests = info[0].IsNumber() ? info[0].As<Napi::Number>().DoubleValue() : 0;
  if (!(requests >= 1 && requests <= kMaxQueueDepth)) {
    return ThrowTypeError(info.Env(), "requests must be between 1 and 1024");
  }
  EnvironmentOf(info)->SetQueueDepth(static_cast<uint32_t>(requests));
  return info.Env().Undefined();
}

// startUring(): 0, or the errno that says why there is no io_uring
Napi::Value StartUring(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), EnvironmentOf(info)->StartUring());
}

// What V8 has collected leaves its account before it can be shown again. From Node 24 on an account
// that is below zero for that moment ends the process (ExternalMemoryAccounting, src/heap of V8).
bool MayHide(Napi::Env env) { return Napi::VersionManagement::GetNodeVersion(env)->major < 23; }

void HideFromV8(Napi::Env env, PageRegistry* registry, Pages* pages) {
  if (!MayHide(env)) return;
  const auto bytes = static_cast<int64_t>(registry->Hide(pages));
  if (bytes != 0) Napi::MemoryManagement::AdjustExternalMemory(env, -bytes);
}

void ShowToV8(Napi::Env env, PageRegistry* registry, Pages* pages) {
  const auto bytes = static_cast<int64_t>(registry->Show(pages));
  if (bytes != 0) Napi::MemoryManagement::AdjustExternalMemory(env, bytes);
}

void EndLease(Napi::Env env, void*, Lease* lease) {
  ShowToV8(env, lease->registry(), lease->pages());
  delete lease;
}

// allocate(bytes): ArrayBuffer
Napi::Value Allocate(const Napi::CallbackInfo& info) {
  if (!info[0].IsNumber()) return ThrowTypeError(info.Env(), "bytes must be a number");
  const double bytes = info[0].As<Napi::Number>().DoubleValue();
  if (!(bytes >= 1 && bytes <= kMaxAllocation)) {
    return ThrowTypeError(info.Env(), "bytes must be between 1 and 4294967295");
  }
  auto pages = std::make_shared<Pages>(static_cast<size_t>(bytes));
  if (pages->data() == nullptr) {
    Napi::RangeError::New(info.Env(), "out of memory").ThrowAsJavaScriptException();
    return Napi::Value();
  }
  auto lease = std::make_unique<Lease>(EnvironmentOf(info)->pages(), pages);
  PageRegistry* registry = lease->registry();
  const auto memory =
      Napi::ArrayBuffer::New(info.Env(), pages->data(), pages->bytes(), EndLease, lease.release());
  if (memory.IsEmpty()) return memory;
  HideFromV8(info.Env(), registry, pages.get());
  return memory;
}

// release(memory): detached; what is under way there keeps it until then
Napi::Value Release(const Napi::CallbackInfo& info) {
  if (!info[0].IsArrayBuffer()) return ThrowTypeError(info.Env(), "memory must be an ArrayBuffer");
  Napi::ArrayBuffer memory = info[0].As<Napi::ArrayBuffer>();
  PageRegistry* registry = EnvironmentOf(info)->pages().get();
  const auto pages = registry->Find(static_cast<const uint8_t*>(memory.Data()));
  if (pages != nullptr) ShowToV8(info.Env(), registry, pages.get());
  memory.Detach();
  return info.Env().Undefined();
}

// open(path, write, exclusive, uring, done)
Napi::Value Open(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) return ThrowTypeError(info.Env(), "path must be a string");
  if (!info[1].IsBoolean()) return ThrowTypeError(info.Env(), "write must be a boolean");
  if (!info[2].IsBoolean()) return ThrowTypeError(info.Env(), "exclusive must be a boolean");
  if (!info[3].IsBoolean()) return ThrowTypeError(info.Env(), "uring must be a boolean");
  if (!info[4].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  OpenOptions options = {info[0].As<Napi::String>(), info[1].As<Napi::Boolean>(),
                         info[2].As<Napi::Boolean>()};
  const BackendKind backend =
      info[3].As<Napi::Boolean>() ? BackendKind::kUring : BackendKind::kThreads;
  Environment* environment = EnvironmentOf(info);
  environment->StartTask(std::make_unique<OpenTask>(info[4].As<Napi::Function>(), environment,
                                                    std::move(options), backend));
  return info.Env().Undefined();
}

std::vector<Request> Plan(const File& file, Direction direction, std::vector<Piece> pieces) {
  if (direction == Direction::kRead) return PlanReads(std::move(pieces), file.align_bytes());
  return PlanWrites(std::move(pieces), file.align_bytes(), file.write_align_bytes());
}

// read/write(handle, buffer, offsets, lengths, positions, count, done)
Napi::Value StartBatch(const Napi::CallbackInfo& info, Direction direction) {
  const OpenFile* open = FileOf(info);
  if (open == nullptr) return ThrowTypeError(info.Env(), "handle must be of an open file");
  std::vector<Piece> pieces;
  if (const char* wrong = ReadPieces(info, 1, &pieces)) return ThrowTypeError(info.Env(), wrong);
  if (!info[6].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");

  Environment* environment = EnvironmentOf(info);
  std::shared_ptr<Pages> memory = environment->pages()->Find(pieces.front().memory);
  std::vector<Request> requests = Plan(*open->file, direction, std::move(pieces));
  auto operation =
      std::make_unique<BatchOperation>(info[6].As<Napi::Function>(), info[1].As<Napi::Object>());
  const auto done = [environment, key = operation.get()] { environment->Complete(key); };
  auto batch =
      std::make_shared<Batch>(open->file, direction, std::move(requests), std::move(memory), done);
  operation->set_batch(batch);
  environment->StartBatch(open->backend, std::move(operation), std::move(batch));
  return info.Env().Undefined();
}

Napi::Value Read(const Napi::CallbackInfo& info) { return StartBatch(info, Direction::kRead); }

Napi::Value Write(const Napi::CallbackInfo& info) { return StartBatch(info, Direction::kWrite); }

// clear(handle, discard, offsets, lengths, count, done)
Napi::Value Clear(const Napi::CallbackInfo& info) {
  const OpenFile* open = FileOf(info);
  if (open == nullptr) return ThrowTypeError(info.Env(), "handle must be of an open file");
  if (!info[1].IsBoolean()) return ThrowTypeError(info.Env(), "discard must be a boolean");
  std::vector<Range> ranges;
  if (const char* wrong = ReadRanges(info, 2, &ranges)) return ThrowTypeError(info.Env(), wrong);
  if (!info[5].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");

  Environment* environment = EnvironmentOf(info);
  const Clearing how = info[1].As<Napi::Boolean>() ? Clearing::kDiscard : Clearing::kZero;
  environment->StartTask(std::make_unique<ClearTask>(
      info[5].As<Napi::Function>(), environment->pool(), open->file, how, std::move(ranges)));
  return info.Env().Undefined();
}

Napi::Value StartFileTask(const Napi::CallbackInfo& info, FileTask::Method method) {
  const OpenFile* open = FileOf(info);
  if (open == nullptr) return ThrowTypeError(info.Env(), "handle must be of an open file");
  if (!info[1].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  EnvironmentOf(info)->StartTask(
      std::make_unique<FileTask>(info[1].As<Napi::Function>(), open->file, method));
  return info.Env().Undefined();
}

// flush(handle, done)
Napi::Value Flush(const Napi::CallbackInfo& info) { return StartFileTask(info, &File::Flush); }

// close(handle, done). The handle is void at once; the caller has waited for what was in flight.
Napi::Value Close(const Napi::CallbackInfo& info) {
  const Napi::Value result = StartFileTask(info, &File::Close);
  if (!info.Env().IsExceptionPending()) {
    EnvironmentOf(info)->RemoveFile(info[0].As<Napi::Number>().DoubleValue());
  }
  return result;
}

// enlargePipe(fd)
Napi::Value EnlargePipeOf(const Napi::CallbackInfo& info) {
  if (!info[0].IsNumber()) return ThrowTypeError(info.Env(), "fd must be a number");
  EnlargePipe(info[0].As<Napi::Number>().Int32Value());
  return info.Env().Undefined();
}

// readInput(fd, buffer, crcSeed, done)
Napi::Value ReadInput(const Napi::CallbackInfo& info) {
  if (!info[0].IsNumber()) return ThrowTypeError(info.Env(), "fd must be a number");
  return StartInput(info, std::make_shared<PipeInput>(info[0].As<Napi::Number>().Int32Value()));
}

// The content that an argument, the first unless said, stands for.
Content ContentOf(const Napi::CallbackInfo& info, size_t argument = 0) {
  auto buffer = info[argument].As<Napi::Uint8Array>();
  return {buffer.Data(), buffer.ByteLength(), EnvironmentOf(info)->pages()->Find(buffer.Data())};
}

// Answers at once, or undefined when `done` will be called with the answer.
Napi::Value StartContentTask(const Napi::CallbackInfo& info, std::unique_ptr<Task> task,
                             bool at_once) {
  if (!at_once) {
    EnvironmentOf(info)->StartTask(std::move(task));
    return info.Env().Undefined();
  }
  task->Run();
  return task->Result(info.Env());
}

bool IsPositive(const Napi::Value& value) {
  return IsUint32(value) && value.As<Napi::Number>().Uint32Value() > 0;
}

bool IsForThisThread(const Content& content) {
  return content.memory == nullptr || content.bytes < kInlineBytes;
}

// crc32c(bytes, seed, done): number | undefined
Napi::Value StartCrc32c(const Napi::CallbackInfo& info) {
  if (!IsUint8Array(info[0])) return ThrowTypeError(info.Env(), "bytes must be a Buffer");
  if (!IsUint32(info[1])) return ThrowTypeError(info.Env(), "seed must be a 32-bit number");
  if (!info[2].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  Content content = ContentOf(info);
  const bool at_once = IsForThisThread(content);
  const uint32_t seed = info[1].As<Napi::Number>().Uint32Value();
  return StartContentTask(
      info, std::make_unique<Crc32cTask>(info[2].As<Napi::Function>(), std::move(content), seed),
      at_once);
}

// findZeroBlocks(bytes, blockBytes, done): Uint8Array | undefined
Napi::Value StartFindZeroBlocks(const Napi::CallbackInfo& info) {
  if (!IsUint8Array(info[0])) return ThrowTypeError(info.Env(), "bytes must be a Buffer");
  if (!IsPositive(info[1])) {
    return ThrowTypeError(info.Env(), "blockBytes must be a positive whole number");
  }
  if (!info[2].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  Content content = ContentOf(info);
  const bool at_once = IsForThisThread(content);
  const size_t block_bytes = info[1].As<Napi::Number>().Uint32Value();
  return StartContentTask(info,
                          std::make_unique<ZeroBlocksTask>(info[2].As<Napi::Function>(),
                                                           std::move(content), block_bytes),
                          at_once);
}

// examine(bytes, blockBytes, seed, done): number | Uint8Array | undefined
Napi::Value StartExamine(const Napi::CallbackInfo& info) {
  if (!IsUint8Array(info[0])) return ThrowTypeError(info.Env(), "bytes must be a Buffer");
  if (!IsPositive(info[1])) {
    return ThrowTypeError(info.Env(), "blockBytes must be a positive whole number");
  }
  if (!IsUint32(info[2])) return ThrowTypeError(info.Env(), "seed must be a 32-bit number");
  if (!info[3].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  Content content = ContentOf(info);
  const bool at_once = IsForThisThread(content);
  const size_t block_bytes = info[1].As<Napi::Number>().Uint32Value();
  const uint32_t seed = info[2].As<Napi::Number>().Uint32Value();
  return StartContentTask(info,
                          std::make_unique<ExamineTask>(info[3].As<Napi::Function>(),
                                                        std::move(content), block_bytes, seed),
                          at_once);
}

// findEqualBlocks(one, other, blockBytes, done): Uint8Array | undefined
Napi::Value StartFindEqualBlocks(const Napi::CallbackInfo& info) {
  if (!IsUint8Array(info[0])) return ThrowTypeError(info.Env(), "one must be a Buffer");
  if (!IsUint8Array(info[1])) return ThrowTypeError(info.Env(), "other must be a Buffer");
  if (!IsPositive(info[2])) {
    return ThrowTypeError(info.Env(), "blockBytes must be a positive whole number");
  }
  if (!info[3].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  Content one = ContentOf(info, 0);
  Content other = ContentOf(info, 1);
  if (one.bytes != other.bytes) return ThrowTypeError(info.Env(), "both must be as long");
  const bool at_once = IsForThisThread(one) || IsForThisThread(other);
  const size_t block_bytes = info[2].As<Napi::Number>().Uint32Value();
  return StartContentTask(
      info,
      std::make_unique<EqualBlocksTask>(info[3].As<Napi::Function>(), std::move(one),
                                        std::move(other), block_bytes),
      at_once);
}

// hashPieces(buffer, offsets, lengths, positions, count, done): Uint8Array | undefined
Napi::Value StartHashPieces(const Napi::CallbackInfo& info) {
  std::vector<Piece> pieces;
  if (const char* wrong = ReadPieces(info, 0, &pieces)) return ThrowTypeError(info.Env(), wrong);
  if (!info[5].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  Content content = ContentOf(info);
  const bool at_once = IsForThisThread(content);
  return StartContentTask(info,
                          std::make_unique<HashTask>(info[5].As<Napi::Function>(), FindSha256(),
                                                     std::move(content), std::move(pieces)),
                          at_once);
}

// sha256AtOnce(bytes): Buffer
Napi::Value Sha256AtOnce(const Napi::CallbackInfo& info) {
  if (!IsUint8Array(info[0])) return ThrowTypeError(info.Env(), "bytes must be a Buffer");
  const auto buffer = info[0].As<Napi::Uint8Array>();
  auto digest = Napi::Buffer<uint8_t>::New(info.Env(), kSha256Bytes);
  if (!digest.IsEmpty()) FindSha256()(buffer.Data(), buffer.ByteLength(), digest.Data());
  return digest;
}

// crc32cAtOnce(bytes, seed), crc32cByTables(bytes, seed): number. The latter is for tests: it is
// what a processor without the instruction does.
template <auto crc32c>
Napi::Value CrcAtOnce(const Napi::CallbackInfo& info) {
  if (!IsUint8Array(info[0])) return ThrowTypeError(info.Env(), "bytes must be a Buffer");
  if (!IsUint32(info[1])) return ThrowTypeError(info.Env(), "seed must be a 32-bit number");
  auto buffer = info[0].As<Napi::Uint8Array>();
  const uint32_t seed = info[1].As<Napi::Number>().Uint32Value();
  return Napi::Number::New(info.Env(), crc32c(seed, buffer.Data(), buffer.ByteLength()));
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment(env));
  exports.Set("allocate", Napi::Function::New<Allocate>(env, "allocate"));
  exports.Set("release", Napi::Function::New<Release>(env, "release"));
  exports.Set("setQueueDepth", Napi::Function::New<SetQueueDepth>(env, "setQueueDepth"));
  exports.Set("startUring", Napi::Function::New<StartUring>(env, "startUring"));
  exports.Set("open", Napi::Function::New<Open>(env, "open"));
  exports.Set("read", Napi::Function::New<Read>(env, "read"));
  exports.Set("write", Napi::Function::New<Write>(env, "write"));
  exports.Set("clear", Napi::Function::New<Clear>(env, "clear"));
  exports.Set("flush", Napi::Function::New<Flush>(env, "flush"));
  exports.Set("enlargePipe", Napi::Function::New<EnlargePipeOf>(env, "enlargePipe"));
  exports.Set("readInput", Napi::Function::New<ReadInput>(env, "readInput"));
  exports.Set("close", Napi::Function::New<Close>(env, "close"));
  exports.Set("crc32c", Napi::Function::New<StartCrc32c>(env, "crc32c"));
  exports.Set("crc32cAtOnce", Napi::Function::New<CrcAtOnce<Crc32c>>(env, "crc32cAtOnce"));
  exports.Set("crc32cByTables",
              Napi::Function::New<CrcAtOnce<Crc32cByTables>>(env, "crc32cByTables"));
  exports.Set("findZeroBlocks", Napi::Function::New<StartFindZeroBlocks>(env, "findZeroBlocks"));
  exports.Set("examine", Napi::Function::New<StartExamine>(env, "examine"));
  exports.Set("findEqualBlocks", Napi::Function::New<StartFindEqualBlocks>(env, "findEqualBlocks"));
  if (FindSha256() != nullptr) {
    exports.Set("hashPieces", Napi::Function::New<StartHashPieces>(env, "hashPieces"));
    exports.Set("sha256AtOnce", Napi::Function::New<Sha256AtOnce>(env, "sha256AtOnce"));
  }
  ExportLinks(env, exports);
  ExportTls(env, exports);
  ExportSsh(env, exports);
  return exports;
}

NODE_API_MODULE(lvmsync, Init)

}  // namespace

}  // namespace lvmsync
