#include "link_tasks.h"

#include <utility>

namespace lvmsync {

AcceptTask::AcceptTask(const Napi::Function& done, Environment* environment,
                       std::shared_ptr<const Listener> listener)
    : Task(done), environment_(environment), listener_(std::move(listener)) {}

Napi::Value AcceptTask::Result(Napi::Env env) {
  const uint32_t handle = link_ == nullptr ? 0 : environment_->links().Add(std::move(link_));
  return Napi::Number::New(env, handle);
}

ConnectTask::ConnectTask(const Napi::Function& done, Environment* environment,
                         SocketAddress address, TlsKey key, int timeout_milliseconds)
    : Task(done),
      environment_(environment),
      address_(std::move(address)),
      key_(std::move(key)),
      timeout_milliseconds_(timeout_milliseconds) {}

void ConnectTask::Run() {
  error_ =
      TlsLink::Connect(address_, key_, timeout_milliseconds_, environment_->waiting_pool(), &link_);
}

Napi::Value ConnectTask::Result(Napi::Env env) {
  auto answer = Napi::Object::New(env);
  if (answer.IsEmpty()) return env.Undefined();  // a worker that is being terminated
  if (link_ == nullptr) {
    answer.Set("errno", error_);
  } else {
    answer.Set("handle", environment_->links().Add(std::move(link_)));
  }
  return answer;
}

WriteTask::WriteTask(const Napi::Function& done, const Napi::Object& buffer, const ThreadPool& pool,
                     std::shared_ptr<Link> link, LinkBytes bytes)
    : Task(done),
      buffer_(Napi::Persistent(buffer)),
      pool_(pool),
      link_(std::move(link)),
      bytes_(std::move(bytes)) {}

void WriteTask::Run() {
  error_ = bytes_.bytes == 0 ? link_->End(pool_) : link_->Write(bytes_.data, bytes_.bytes, pool_);
}

}  // namespace lvmsync
