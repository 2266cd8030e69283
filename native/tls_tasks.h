#pragma once

#include <cstdint>
#include <memory>

#include "environment.h"
#include "input_task.h"
#include "tls.h"

namespace lvmsync {

// Answers the handle of the next link, or 0 when no more will come.
class AcceptTask : public Task {
 public:
  AcceptTask(const Napi::Function& done, Environment* environment,
             std::shared_ptr<const TlsListener> listener);
  void Run() override { link_ = listener_->Accept(environment_->pool()); }
  void Fail(int) override {}
  Napi::Value Result(Napi::Env env) override;

 private:
  Environment* environment_;
  std::shared_ptr<const TlsListener> listener_;
  std::shared_ptr<TlsLink> link_;
};

// As InputTask, from a link.
class TlsReadTask : public Task {
 public:
  TlsReadTask(const Napi::Function& done, const Napi::Object& buffer, const ThreadPool& pool,
              std::shared_ptr<TlsLink> link, InputSpan span);
  void Run() override { result_ = link_->Read(span_.memory, span_.bytes, pool_); }
  void Fail(int error) override { result_ = -error; }
  Napi::Value Result(Napi::Env env) override;

 private:
  Napi::ObjectReference buffer_;
  const ThreadPool& pool_;
  std::shared_ptr<TlsLink> link_;
  InputSpan span_;
  int64_t result_ = 0;
};

}  // namespace lvmsync
