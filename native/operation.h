#pragma once

#include <napi.h>

#include <memory>
#include <unordered_map>

namespace lvmsync {

// A call from JavaScript that is answered later, through the function `done`. Lives and dies on the
// JavaScript thread; other threads only fill in what Result needs.
class Operation {
 public:
  explicit Operation(const Napi::Function& done) : done_(Napi::Persistent(done)) {}
  virtual ~Operation() = default;
  Operation(const Operation&) = delete;
  Operation& operator=(const Operation&) = delete;

  // What `done` is called with.
  virtual Napi::Value Result(Napi::Env env) = 0;

  void CallDone(Napi::Env env) { done_.Call({Result(env)}); }

 private:
  Napi::FunctionReference done_;
};

// The operations in flight in one environment. They keep the event loop alive.
class OperationQueue {
 public:
  explicit OperationQueue(Napi::Env env);

  void Add(Napi::Env env, std::unique_ptr<Operation> operation);

  // From any thread, once for each operation: hands it to the JavaScript thread, which calls `done`
  // and deletes it.
  void Complete(Operation* operation);

  // Deletes what is left without calling `done`. No thread may call Complete any more.
  void Abandon() { in_flight_.clear(); }

 private:
  static void Settle(Napi::Env env, Napi::Function, OperationQueue* queue, Operation* operation);
  using Settler = Napi::TypedThreadSafeFunction<OperationQueue, Operation, Settle>;

  Settler settler_;
  std::unordered_map<Operation*, std::unique_ptr<Operation>> in_flight_;
};

}  // namespace lvmsync
