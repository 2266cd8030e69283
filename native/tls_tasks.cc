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

TlsReadTask::TlsReadTask(const Napi::Function& done, const Napi::Object& buffer,
                         const ThreadPool& pool, std::shared_ptr<TlsLink> link, InputSpan span)
    : Task(done),
      buffer_(Napi::Persistent(buffer)),
      pool_(pool),
      link_(std::move(link)),
      span_(std::move(span)) {}

Napi::Value TlsReadTask::Result(Napi::Env env) {
  return Napi::Number::New(env, static_cast<double>(result_));
}

}  // namespace lvmsync
