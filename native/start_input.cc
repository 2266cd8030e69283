#include "start_input.h"

#include <cstdint>
#include <optional>
#include <utility>

#include "arguments.h"
#include "environment.h"
#include "input_task.h"

namespace lvmsync {

Napi::Value StartInput(const Napi::CallbackInfo& info, std::shared_ptr<Input> input) {
  if (!IsUint8Array(info[1])) return ThrowTypeError(info.Env(), "buffer must be a Buffer");
  if (!info[2].IsUndefined() && !IsUint32(info[2])) {
    return ThrowTypeError(info.Env(), "crcSeed must be undefined or a 32-bit number");
  }
  if (!info[3].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  auto buffer = info[1].As<Napi::Uint8Array>();
  if (buffer.ByteLength() == 0) return ThrowTypeError(info.Env(), "buffer must not be empty");

  Environment* environment = EnvironmentOf(info);
  std::optional<uint32_t> crc_seed;
  if (!info[2].IsUndefined()) crc_seed = info[2].As<Napi::Number>().Uint32Value();
  InputSpan span = {buffer.Data(), buffer.ByteLength(), environment->pages()->Find(buffer.Data())};
  environment->StartWaitingTask(std::make_unique<InputTask>(
      info[3].As<Napi::Function>(), info[1].As<Napi::Object>(), environment->waiting_pool(),
      std::move(input), std::move(span), crc_seed));
  return info.Env().Undefined();
}

}  // namespace lvmsync
