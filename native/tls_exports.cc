#include "tls_exports.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "arguments.h"
#include "environment.h"
#include "link_tasks.h"
#include "openssl.h"

namespace lvmsync {

namespace {

// The key in two arguments (…, identity, psk) from `first` on. Returns nullptr, or what is wrong.
const char* ReadKey(const Napi::CallbackInfo& info, size_t first, TlsKey* key) {
  if (!info[first].IsString()) return "identity must be a string";
  const Napi::Value psk = info[first + 1];
  if (!IsUint8Array(psk) || psk.As<Napi::Uint8Array>().ByteLength() != kPskBytes) {
    return "psk must be 32 bytes";
  }
  key->identity = info[first].As<Napi::String>();
  std::copy_n(psk.As<Napi::Uint8Array>().Data(), kPskBytes, key->psk.begin());
  return nullptr;
}

// listenTls(host, identity, psk): { handle, port } or { errno }
Napi::Value ListenTls(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) return ThrowTypeError(info.Env(), "host must be a string");
  TlsKey key;
  if (const char* wrong = ReadKey(info, 1, &key)) return ThrowTypeError(info.Env(), wrong);
  std::shared_ptr<Listener> listener;
  const int error = TlsLink::Listen(info[0].As<Napi::String>(), std::move(key), &listener);
  if (error != 0) return ErrnoAnswer(info.Env(), error);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("port", PortOf(listener->fd()));
  result.Set("handle", EnvironmentOf(info)->listeners().Add(std::move(listener)));
  return result;
}

// connectTls(host, port, identity, psk, timeoutMs, done)
Napi::Value ConnectTls(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) return ThrowTypeError(info.Env(), "host must be a string");
  if (!IsUint32(info[1]) || info[1].As<Napi::Number>().Uint32Value() > UINT16_MAX) {
    return ThrowTypeError(info.Env(), "port must be a 16-bit number");
  }
  TlsKey key;
  if (const char* wrong = ReadKey(info, 2, &key)) return ThrowTypeError(info.Env(), wrong);
  if (!IsUint32(info[4]) || info[4].As<Napi::Number>().Uint32Value() > INT32_MAX) {
    return ThrowTypeError(info.Env(), "timeoutMs must be a 31-bit number");
  }
  if (!info[5].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  SocketAddress address = {info[0].As<Napi::String>(),
                           static_cast<uint16_t>(info[1].As<Napi::Number>().Uint32Value())};
  Environment* environment = EnvironmentOf(info);
  environment->StartWaitingTask(
      std::make_unique<ConnectTask>(info[5].As<Napi::Function>(), environment, std::move(address),
                                    std::move(key), info[4].As<Napi::Number>().Int32Value()));
  return info.Env().Undefined();
}

}  // namespace

void ExportTls(Napi::Env env, Napi::Object exports) {
  if (FindOpenSsl() == nullptr) return;
  exports.Set("listenTls", Napi::Function::New<ListenTls>(env, "listenTls"));
  exports.Set("connectTls", Napi::Function::New<ConnectTls>(env, "connectTls"));
}

}  // namespace lvmsync
