#include "arguments.h"

#include <cmath>

namespace lvmsync {

namespace {

constexpr double kMaxOffset = 9007199254740991;  // Number.MAX_SAFE_INTEGER

bool IsArrayOf(const Napi::Value& value, napi_typedarray_type type) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == type;
}

bool IsWholeNumber(double value) {
  return value >= 0 && value <= kMaxOffset && std::floor(value) == value;
}

bool IsCount(double count, size_t offsets, size_t lengths) {
  return count <= static_cast<double>(offsets) && count <= static_cast<double>(lengths);
}

// nullptr, or what is wrong with a range of a file.
const char* CheckRange(double offset, uint32_t length) {
  if (length == 0) return "a length is zero";
  if (!IsWholeNumber(offset) || offset + length > kMaxOffset) {
    return "an offset is not a byte offset";
  }
  return nullptr;
}

}  // namespace

Napi::Value ThrowTypeError(Napi::Env env, const char* message) {
  Napi::TypeError::New(env, message).ThrowAsJavaScriptException();
  return Napi::Value();
}

Napi::Object ErrnoAnswer(Napi::Env env, int error) {
  auto answer = Napi::Object::New(env);
  answer.Set("errno", error);
  return answer;
}

Environment* EnvironmentOf(const Napi::CallbackInfo& info) {
  return info.Env().GetInstanceData<Environment>();
}

bool IsUint8Array(const Napi::Value& value) {
  return value.IsTypedArray() && value.As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
}

bool IsUint32(const Napi::Value& value) {
  if (!value.IsNumber()) return false;
  const double number = value.As<Napi::Number>().DoubleValue();
  return number >= 0 && number <= UINT32_MAX && number == static_cast<uint32_t>(number);
}

const char* ReadPieces(const Napi::CallbackInfo& info, size_t first, std::vector<Piece>* pieces) {
  if (!IsArrayOf(info[first], napi_uint8_array)) return "buffer must be a Buffer";
  if (!IsArrayOf(info[first + 1], napi_float64_array)) return "offsets must be a Float64Array";
  if (!IsArrayOf(info[first + 2], napi_uint32_array)) return "lengths must be a Uint32Array";
  if (!IsArrayOf(info[first + 3], napi_uint32_array)) return "positions must be a Uint32Array";
  if (!info[first + 4].IsNumber()) return "count must be a number";

  auto buffer = info[first].As<Napi::Uint8Array>();
  auto offsets = info[first + 1].As<Napi::Float64Array>();
  auto lengths = info[first + 2].As<Napi::Uint32Array>();
  auto positions = info[first + 3].As<Napi::Uint32Array>();
  const double count = info[first + 4].As<Napi::Number>().DoubleValue();
  if (!IsWholeNumber(count) || count < 1) return "count must be a positive whole number";
  if (!IsCount(count, offsets.ElementLength(), lengths.ElementLength()) ||
      count > static_cast<double>(positions.ElementLength())) {
    return "count is larger than the arrays";
  }

  uint8_t* const memory = buffer.Data();
  const size_t buffer_bytes = buffer.ByteLength();
  const double* const offset = offsets.Data();
  const uint32_t* const length = lengths.Data();
  const uint32_t* const position = positions.Data();
  const auto piece_count = static_cast<size_t>(count);
  pieces->reserve(piece_count);
  for (size_t index = 0; index < piece_count; ++index) {
    if (const char* wrong = CheckRange(offset[index], length[index])) return wrong;
    if (length[index] > buffer_bytes || position[index] > buffer_bytes - length[index]) {
      return "a piece lies outside the buffer";
    }
    pieces->push_back(
        {static_cast<uint64_t>(offset[index]), length[index], memory + position[index]});
  }
  return nullptr;
}

const char* ReadRanges(const Napi::CallbackInfo& info, size_t first, std::vector<Range>* ranges) {
  if (!IsArrayOf(info[first], napi_float64_array)) return "offsets must be a Float64Array";
  if (!IsArrayOf(info[first + 1], napi_uint32_array)) return "lengths must be a Uint32Array";
  if (!info[first + 2].IsNumber()) return "count must be a number";

  auto offsets = info[first].As<Napi::Float64Array>();
  auto lengths = info[first + 1].As<Napi::Uint32Array>();
  const double count = info[first + 2].As<Napi::Number>().DoubleValue();
  if (!IsWholeNumber(count) || count < 1) return "count must be a positive whole number";
  if (!IsCount(count, offsets.ElementLength(), lengths.ElementLength())) {
    return "count is larger than the arrays";
  }
  ranges->reserve(static_cast<size_t>(count));
  for (size_t index = 0; index < static_cast<size_t>(count); ++index) {
    if (const char* wrong = CheckRange(offsets[index], lengths[index])) return wrong;
    ranges->push_back({static_cast<uint64_t>(offsets[index]), lengths[index]});
  }
  return nullptr;
}

}  // namespace lvmsync
