#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "environment.h"
#include "link.h"
#include "listener.h"
#include "pages.h"
#include "tls_link.h"

namespace lvmsync {

// Answers the handle of the next link, or 0 when no more will come.
class AcceptTask : public Task {
 public:
  AcceptTask(const Napi::Function& done, Environment* environment,
             std::shared_ptr<const Listener> listener);
  void Run() override { link_ = listener_->Accept(environment_->waiting_pool()); }
  void Fail(int) override {}
  Napi::Value Result(Napi::Env env) override;

 private:
  Environment* environment_;
  std::shared_ptr<const Listener> listener_;
  std::shared_ptr<Link> link_;
};

// Connects by TLS. Answers { handle } or { errno }.
class ConnectTask : public Task {
 public:
  ConnectTask(const Napi::Function& done, Environment* environment, SocketAddress address,
              TlsKey key, int timeout_milliseconds);
  void Run() override;
  void Fail(int error) override { error_ = error; }
  Napi::Value Result(Napi::Env env) override;

 private:
  Environment* environment_;
  SocketAddress address_;
  TlsKey key_;
  int timeout_milliseconds_;
  std::shared_ptr<Link> link_;
  int error_ = 0;
};

// Bytes to be written, which stay where they are or are the task's own.
struct LinkBytes {
  const uint8_t* data;
  size_t bytes;
  std::shared_ptr<const Pages> pages;
  std::vector<uint8_t> copy;
};

// Writes to a link; without bytes, ends it. Answers 0 or an errno.
class WriteTask : public Task {
 public:
  WriteTask(const Napi::Function& done, const Napi::Object& buffer, const ThreadPool& pool,
            std::shared_ptr<Link> link, LinkBytes bytes);
  void Run() override;
  void Fail(int error) override { error_ = error; }
  Napi::Value Result(Napi::Env env) override { return Napi::Number::New(env, error_); }

 private:
  Napi::ObjectReference buffer_;
  const ThreadPool& pool_;
  std::shared_ptr<Link> link_;
  LinkBytes bytes_;
  int error_ = 0;
};

}  // namespace lvmsync
