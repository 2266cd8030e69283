#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "environment.h"
#include "file.h"
#include "plan.h"

namespace lvmsync {

// Throws a TypeError in JavaScript; the caller returns at once.
Napi::Value ThrowTypeError(Napi::Env env, const char* message);

// What a call that failed answers: { errno }.
Napi::Object ErrnoAnswer(Napi::Env env, int error);

// That of the caller.
Environment* EnvironmentOf(const Napi::CallbackInfo& info);

// What the first argument is the handle of; nullptr when it is of nothing there.
template <typename Object>
std::shared_ptr<Object> FindHandle(const Napi::CallbackInfo& info, const Handles<Object>& handles) {
  return info[0].IsNumber() ? handles.Find(info[0].As<Napi::Number>().DoubleValue()) : nullptr;
}

bool IsUint8Array(const Napi::Value& value);

bool IsUint32(const Napi::Value& value);

// The batch in the arguments (…, buffer, offsets, lengths, positions, count) from `first` on,
// copied and checked against the bounds of the buffer. Returns nullptr, or what is wrong with it.
const char* ReadPieces(const Napi::CallbackInfo& info, size_t first, std::vector<Piece>* pieces);

// The ranges in the arguments (…, offsets, lengths, count) from `first` on, copied. Returns
// nullptr, or what is wrong with them.
const char* ReadRanges(const Napi::CallbackInfo& info, size_t first, std::vector<Range>* ranges);

}  // namespace lvmsync
