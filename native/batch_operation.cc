#include "batch_operation.h"

namespace lvmsync {

BatchOperation::BatchOperation(const Napi::Function& done, const Napi::Object& buffer)
    : Operation(done), buffer_(Napi::Persistent(buffer)) {}

Napi::Value BatchOperation::Result(Napi::Env env) {
  if (!batch_->failure()) return env.Undefined();
  Napi::Object result = Napi::Object::New(env);
  result.Set("errno", batch_->failure()->error);
  result.Set("offset", static_cast<double>(batch_->failure()->offset));
  result.Set("length", batch_->failure()->length);
  return result;
}

}  // namespace lvmsync
