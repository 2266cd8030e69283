#pragma once

#include <napi.h>

#include <memory>

#include "input.h"

namespace lvmsync {

// Starts to read from an input by the arguments behind the first: (…, buffer, crcSeed, done).
Napi::Value StartInput(const Napi::CallbackInfo& info, std::shared_ptr<Input> input);

}  // namespace lvmsync
