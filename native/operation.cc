#include "operation.h"

#include <utility>

namespace lvmsync {

OperationQueue::OperationQueue(Napi::Env env)
    : settler_(Settler::New(env, "lvmsync", /* unlimited */ 0, /* threads */ 1, this)) {
  settler_.Unref(env);
}

void OperationQueue::Add(Napi::Env env, std::unique_ptr<Operation> operation) {
  if (in_flight_.empty()) settler_.Ref(env);
  Operation* key = operation.get();
  in_flight_.emplace(key, std::move(operation));
}

void OperationQueue::Complete(Operation* operation) {
  // Fails only when the environment is going away; then Abandon deletes the operation.
  static_cast<void>(settler_.NonBlockingCall(operation));
}

void OperationQueue::Settle(Napi::Env env, Napi::Function, OperationQueue* queue,
                            Operation* operation) {
  if (static_cast<napi_env>(env) == nullptr) return;  // going away: Abandon has deleted it
  const auto entry = queue->in_flight_.extract(operation);
  if (queue->in_flight_.empty()) queue->settler_.Unref(env);
  entry.mapped()->CallDone(env);
}

}  // namespace lvmsync
