#pragma once

#include <napi.h>

#include <vector>

#include "environment.h"
#include "file.h"
#include "plan.h"

namespace lvmsync {

// Throws a TypeError in JavaScript; the caller returns at once.
Napi::Value ThrowTypeError(Napi::Env env, const char* message);

// That of the caller.
Environment* EnvironmentOf(const Napi::CallbackInfo& info);

bool IsUint8Array(const Napi::Value& value);

bool IsUint32(const Napi::Value& value);

// The batch in the arguments (…, buffer, offsets, lengths, positions, count) from `first` on,
// copied and checked against the bounds of the buffer. Returns nullptr, or what is wrong with it.
const char* ReadPieces(const Napi::CallbackInfo& info, size_t first, std::vector<Piece>* pieces);

// The ranges in the arguments (…, offsets, lengths, count) from `first` on, copied. Returns
// nullptr, or what is wrong with them.
const char* ReadRanges(const Napi::CallbackInfo& info, size_t first, std::vector<Range>* ranges);

}  // namespace lvmsync
