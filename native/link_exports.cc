#include "link_exports.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "arguments.h"
#include "environment.h"
#include "link_tasks.h"
#include "socket_link.h"
#include "sockets.h"
#include "start_input.h"

namespace lvmsync {

namespace {

// listenUnix(path): { handle } or { errno }
Napi::Value ListenUnix(const Napi::CallbackInfo& info) {
  if (!info[0].IsString()) return ThrowTypeError(info.Env(), "path must be a string");
  Descriptor socket;
  const int error = ListenAt(info[0].As<Napi::String>(), &socket);
  if (error != 0) return ErrnoAnswer(info.Env(), error);
  auto listener = std::make_shared<Listener>(std::move(socket), [](Descriptor accepted) {
    return std::make_shared<SocketLink>(std::move(accepted));
  });
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("handle", EnvironmentOf(info)->listeners().Add(std::move(listener)));
  return result;
}

// adoptSocket(fd): { handle } or { errno }
Napi::Value AdoptSocket(const Napi::CallbackInfo& info) {
  if (!info[0].IsNumber()) return ThrowTypeError(info.Env(), "fd must be a number");
  // One of our own: the caller's may be closed, and its number given away, while this is written.
  Descriptor socket(fcntl(info[0].As<Napi::Number>().Int32Value(), F_DUPFD_CLOEXEC, 0));
  if (!socket.valid()) return ErrnoAnswer(info.Env(), errno);
  auto link = std::make_shared<SocketLink>(std::move(socket));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("handle", EnvironmentOf(info)->links().Add(std::move(link)));
  return result;
}

// acceptLink(listener, done)
Napi::Value AcceptLink(const Napi::CallbackInfo& info) {
  Environment* environment = EnvironmentOf(info);
  auto listener = FindHandle(info, environment->listeners());
  if (listener == nullptr) return ThrowTypeError(info.Env(), "handle must be of a listener");
  if (!info[1].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  environment->StartWaitingTask(
      std::make_unique<AcceptTask>(info[1].As<Napi::Function>(), environment, std::move(listener)));
  return info.Env().Undefined();
}

// readLink(link, buffer, crcSeed, done)
Napi::Value ReadLink(const Napi::CallbackInfo& info) {
  auto link = FindHandle(info, EnvironmentOf(info)->links());
  if (link == nullptr) return ThrowTypeError(info.Env(), "handle must be of an open link");
  return StartInput(info, std::move(link));
}

// writeLink(link, bytes, done). Without bytes it ends what is written.
Napi::Value WriteLink(const Napi::CallbackInfo& info) {
  Environment* environment = EnvironmentOf(info);
  auto link = FindHandle(info, environment->links());
  if (link == nullptr) return ThrowTypeError(info.Env(), "handle must be of an open link");
  if (!IsUint8Array(info[1])) return ThrowTypeError(info.Env(), "bytes must be a Buffer");
  if (!info[2].IsFunction()) return ThrowTypeError(info.Env(), "done must be a function");
  const auto buffer = info[1].As<Napi::Uint8Array>();
  LinkBytes bytes = {buffer.Data(), buffer.ByteLength(), nullptr, {}};
  bytes.pages = environment->pages()->Find(buffer.Data());
  if (bytes.pages == nullptr && bytes.bytes > 0) {
    bytes.copy.assign(buffer.Data(), buffer.Data() + bytes.bytes);
    bytes.data = bytes.copy.data();
  }
  environment->StartWaitingTask(
      std::make_unique<WriteTask>(info[2].As<Napi::Function>(), info[1].As<Napi::Object>(),
                                  environment->waiting_pool(), std::move(link), std::move(bytes)));
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

// closeListener(listener). What waits for its next link is answered that no more will come.
Napi::Value CloseListener(const Napi::CallbackInfo& info) {
  return ShutDown(info, &EnvironmentOf(info)->listeners());
}

// closeLink(link). What reads from it is answered.
Napi::Value CloseLink(const Napi::CallbackInfo& info) {
  return ShutDown(info, &EnvironmentOf(info)->links());
}

}  // namespace

void ExportLinks(Napi::Env env, Napi::Object exports) {
  exports.Set("listenUnix", Napi::Function::New<ListenUnix>(env, "listenUnix"));
  exports.Set("adoptSocket", Napi::Function::New<AdoptSocket>(env, "adoptSocket"));
  exports.Set("acceptLink", Napi::Function::New<AcceptLink>(env, "acceptLink"));
  exports.Set("readLink", Napi::Function::New<ReadLink>(env, "readLink"));
  exports.Set("writeLink", Napi::Function::New<WriteLink>(env, "writeLink"));
  exports.Set("closeLink", Napi::Function::New<CloseLink>(env, "closeLink"));
  exports.Set("closeListener", Napi::Function::New<CloseListener>(env, "closeListener"));
}

}  // namespace lvmsync
