#include "tls_exports.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "arguments.h"
#include "environment.h"
#include "openssl.h"
#include "start_input.h"
#include "tls_tasks.h"

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
  std::shared_ptr<TlsListener> listener;
  const int error = TlsListener::Listen(info[0].As<Napi::String>(), std::move(key), &listener);
  Napi::Object result = Napi::Object::New(info.Env());
  if (error != 0) {
    result.Set("errno", error);
    return result;
  }
  result.Set("port", listener->port());
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
  environment->StartTask(std::make_unique<ConnectTask>(info[5].As<Napi::Function>(), environment,
                                                       std::move(address), std::move(key),
                                                       info[4].As<Napi::Number>().Int32Value()));
  return info.Env().Undefined();
}

// acceptTls(listener, done)
Napi::Value AcceptTls(const Napi::CallbackInfo& info) {
  Environment* environment = EnvironmentOf(info);
  auto listener = FindHandle(info, environment->listeners());
  if (listener == nullptr) return ThrowTypeError(info.Env(), "handle must be of a listener");
  if (!info[1].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  environment->StartTask(
      std::make_unique<AcceptTask>(info[1].As<Napi::Function>(), environment, std::move(listener)));
  return info.Env().Undefined();
}

// readTls(link, buffer, crcSeed, done)
Napi::Value ReadTls(const Napi::CallbackInfo& info) {
  auto link = FindHandle(info, EnvironmentOf(info)->links());
  if (link == nullptr) return ThrowTypeError(info.Env(), "handle must be of an open link");
  return StartInput(info, std::move(link));
}

// writeTls(link, bytes, done). Without bytes it ends what is written.
Napi::Value WriteTls(const Napi::CallbackInfo& info) {
  Environment* environment = EnvironmentOf(info);
  auto link = FindHandle(info, environment->links());
  if (link == nullptr) return ThrowTypeError(info.Env(), "handle must be of an open link");
  if (!IsUint8Array(info[1])) return ThrowTypeError(info.Env(), "bytes must be a Buffer");
  if (!info[2].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  const auto buffer = info[1].As<Napi::Uint8Array>();
  TlsBytes bytes = {buffer.Data(), buffer.ByteLength(), nullptr, {}};
  bytes.pages = environment->pages()->Find(buffer.Data());
  if (bytes.pages == nullptr && bytes.bytes > 0) {
    bytes.copy.assign(buffer.Data(), buffer.Data() + bytes.bytes);
    bytes.data = bytes.copy.data();
  }
  environment->StartTask(
      std::make_unique<TlsWriteTask>(info[2].As<Napi::Function>(), info[1].As<Napi::Object>(),
                                     environment->pool(), std::move(link), std::move(bytes)));
  return info.Env().Undefined();
}

template <typename Object>
Napi::Value ShutDown(const Napi::CallbackInfo& info, Handles<Object>* handles) {
  const auto object = FindHandle(info, *handles);
  if (object == nullptr) return info.Env().Undefined();
  object->Shutdown();
  handles->Remove(info[0].As<Napi::Number>().DoubleValue());
  return info.Env().Undefined();
}

// closeTlsListener(listener). What waits for its next link is answered that no more will come.
Napi::Value CloseTlsListener(const Napi::CallbackInfo& info) {
  return ShutDown(info, &EnvironmentOf(info)->listeners());
}

// closeTls(link). What reads from it is answered.
Napi::Value CloseTls(const Napi::CallbackInfo& info) {
  return ShutDown(info, &EnvironmentOf(info)->links());
}

}  // namespace

void ExportTls(Napi::Env env, Napi::Object exports) {
  if (FindOpenSsl() == nullptr) return;
  exports.Set("listenTls", Napi::Function::New<ListenTls>(env, "listenTls"));
  exports.Set("connectTls", Napi::Function::New<ConnectTls>(env, "connectTls"));
  exports.Set("acceptTls", Napi::Function::New<AcceptTls>(env, "acceptTls"));
  exports.Set("readTls", Napi::Function::New<ReadTls>(env, "readTls"));
  exports.Set("writeTls", Napi::Function::New<WriteTls>(env, "writeTls"));
  exports.Set("closeTls", Napi::Function::New<CloseTls>(env, "closeTls"));
  exports.Set("closeTlsListener", Napi::Function::New<CloseTlsListener>(env, "closeTlsListener"));
}

}  // namespace lvmsync
