#include "tls_tasks.h"

#include <utility>

namespace lvmsync {

AcceptTask::AcceptTask(const Napi::Function& done, Environment* environment,
                       std::shared_ptr<const TlsListener> listener)
    : Task(done), environment_(environment), listener_(std::move(listener)) {}

Napi::Value AcceptTask::Result(Napi::Env env) {
  const uint32_t handle = link_ == nullptr ? 0 : environment_->links().Add(std::move(link_));
  return Napi::Number::New(env, handle);
}

}  // namespace lvmsync
