#pragma once

#include <memory>

#include "environment.h"
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

}  // namespace lvmsync
