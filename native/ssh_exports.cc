#include "ssh_exports.h"

#include <climits>
#include <cstdint>
#include <utility>

#include "arguments.h"
#include "environment.h"
#include "openssl.h"
#include "ssh_sealer.h"

namespace lvmsync {

namespace {

// The shortest packet there is, sealed: a length, one block and the tag (RFC 5647, 7.2).
constexpr size_t kLeastPacketBytes = 4 + 16 + SshSealer::kTagBytes;
// Longer than any server has to take, and it fits the numbers that OpenSSL counts with.
constexpr uint32_t kMostDataBytes = 1 << 20;

// createSshSealer(key, iv): handle, or 0
Napi::Value CreateSshSealer(const Napi::CallbackInfo& info) {
  if (!IsUint8Array(info[0])) return ThrowTypeError(info.Env(), "key must be a Buffer");
  if (!IsUint8Array(info[1])) return ThrowTypeError(info.Env(), "iv must be a Buffer");
  const auto key = info[0].As<Napi::Uint8Array>();
  const auto iv = info[1].As<Napi::Uint8Array>();
  const size_t key_bytes = key.ByteLength();
  if (key_bytes != 16 && key_bytes != 32) {
    return ThrowTypeError(info.Env(), "key must be 16 or 32 bytes");
  }
  if (iv.ByteLength() != SshSealer::kIvBytes) {
    return ThrowTypeError(info.Env(), "iv must be 12 bytes");
  }
  auto sealer = SshSealer::Create(key.Data(), key_bytes, iv.Data());
  if (sealer == nullptr) return Napi::Number::New(info.Env(), 0);
  return Napi::Number::New(info.Env(), EnvironmentOf(info)->sealers().Add(std::move(sealer)));
}

// sealSshPacket(sealer, packet): boolean
Napi::Value SealSshPacket(const Napi::CallbackInfo& info) {
  const auto sealer = FindHandle(info, EnvironmentOf(info)->sealers());
  if (sealer == nullptr) return ThrowTypeError(info.Env(), "handle must be of a sealer");
  if (!IsUint8Array(info[1])) return ThrowTypeError(info.Env(), "packet must be a Buffer");
  auto packet = info[1].As<Napi::Uint8Array>();
  const size_t bytes = packet.ByteLength();
  if (bytes < kLeastPacketBytes || bytes > INT_MAX) {
    return ThrowTypeError(info.Env(), "packet must be a whole one, with room for its tag");
  }
  return Napi::Boolean::New(info.Env(), sealer->SealPacket(packet.Data(), bytes));
}

// sealSshData(sealer, channel, packetBytes, data, into): how many bytes of `into` were written, 0
// when it could not be done
Napi::Value SealSshData(const Napi::CallbackInfo& info) {
  const auto sealer = FindHandle(info, EnvironmentOf(info)->sealers());
  if (sealer == nullptr) return ThrowTypeError(info.Env(), "handle must be of a sealer");
  if (!IsUint32(info[1])) return ThrowTypeError(info.Env(), "channel must be a 32-bit number");
  const uint32_t packet_bytes =
      IsUint32(info[2]) ? info[2].As<Napi::Number>().Uint32Value() : uint32_t{0};
  if (packet_bytes == 0 || packet_bytes > kMostDataBytes) {
    return ThrowTypeError(info.Env(), "packetBytes must be a positive number up to 1 MiB");
  }
  if (!IsUint8Array(info[3])) return ThrowTypeError(info.Env(), "data must be a Buffer");
  if (!IsUint8Array(info[4])) return ThrowTypeError(info.Env(), "into must be a Buffer");
  const auto buffer = info[3].As<Napi::Uint8Array>();
  auto into = info[4].As<Napi::Uint8Array>();
  const ChannelData data = {info[1].As<Napi::Number>().Uint32Value(), packet_bytes, buffer.Data(),
                            buffer.ByteLength()};
  const size_t sealed_bytes = SealedBytes(data);
  if (into.ByteLength() < sealed_bytes) {
    return ThrowTypeError(info.Env(), "into must have room for all of it");
  }
  const bool sealed = sealer->SealData(data, into.Data());
  return Napi::Number::New(info.Env(), sealed ? static_cast<double>(sealed_bytes) : 0);
}

// closeSshSealer(sealer)
Napi::Value CloseSshSealer(const Napi::CallbackInfo& info) {
  if (info[0].IsNumber()) {
    EnvironmentOf(info)->sealers().Remove(info[0].As<Napi::Number>().DoubleValue());
  }
  return info.Env().Undefined();
}

}  // namespace

void ExportSsh(Napi::Env env, Napi::Object exports) {
  if (FindOpenSsl() == nullptr) return;
  exports.Set("createSshSealer", Napi::Function::New<CreateSshSealer>(env, "createSshSealer"));
  exports.Set("sealSshPacket", Napi::Function::New<SealSshPacket>(env, "sealSshPacket"));
  exports.Set("sealSshData", Napi::Function::New<SealSshData>(env, "sealSshData"));
  exports.Set("closeSshSealer", Napi::Function::New<CloseSshSealer>(env, "closeSshSealer"));
}

}  // namespace lvmsync
