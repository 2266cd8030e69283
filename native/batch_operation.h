#pragma once

#include <memory>

#include "batch.h"
#include "operation.h"

namespace lvmsync {

// Keeps the caller's buffer while a batch is in flight. Answers undefined, or
// { errno, offset, length } of the failed request; errno 0 means an unexpected end.
class BatchOperation : public Operation {
 public:
  BatchOperation(const Napi::Function& done, const Napi::Object& buffer);
  Napi::Value Result(Napi::Env env) override;

  void set_batch(std::shared_ptr<const Batch> batch) { batch_ = std::move(batch); }

 private:
  Napi::ObjectReference buffer_;
  std::shared_ptr<const Batch> batch_;
};

}  // namespace lvmsync
