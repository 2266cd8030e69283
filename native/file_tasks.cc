#include "file_tasks.h"

#include <utility>

namespace lvmsync {

OpenTask::OpenTask(const Napi::Function& done, Environment* environment, OpenOptions options,
                   BackendKind backend)
    : Task(done), environment_(environment), options_(std::move(options)), backend_(backend) {}

void OpenTask::Run() { error_ = File::Open(options_, &file_); }

Napi::Value OpenTask::Result(Napi::Env env) {
  Napi::Object result = Napi::Object::New(env);
  if (error_ != 0) {
    result.Set("errno", error_);
    return result;
  }
  const Geometry geometry = file_->geometry();
  result.Set("handle", environment_->AddFile(std::move(file_), backend_));
  result.Set("blockDevice", geometry.block_device);
  result.Set("sizeBytes", static_cast<double>(geometry.size_bytes));
  result.Set("blockBytes", geometry.block_bytes);
  return result;
}

FileTask::FileTask(const Napi::Function& done, std::shared_ptr<File> file, Method method)
    : Task(done), file_(std::move(file)), method_(method) {}

void FileTask::Run() { error_ = ((*file_).*method_)(); }

Napi::Value FileTask::Result(Napi::Env env) { return Napi::Number::New(env, error_); }

}  // namespace lvmsync
