#include "file_tasks.h"

#include <cerrno>
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
  const uint32_t write_align_bytes = file_->write_align_bytes();
  result.Set("handle", environment_->AddFile(std::move(file_), backend_));
  result.Set("blockDevice", geometry.block_device);
  result.Set("sizeBytes", static_cast<double>(geometry.size_bytes));
  result.Set("blockBytes", geometry.block_bytes);
  result.Set("writeAlignBytes", write_align_bytes);
  result.Set("thinVolume", geometry.thin_volume);
  return result;
}

ClearTask::ClearTask(const Napi::Function& done, const ThreadPool& pool, std::shared_ptr<File> file,
                     Clearing how, std::vector<Range> ranges)
    : Task(done), pool_(pool), file_(std::move(file)), how_(how), ranges_(std::move(ranges)) {}

void ClearTask::Run() {
  for (const Range& range : ranges_) {
    error_ = pool_.stopping() ? ECANCELED : file_->Clear(how_, range.offset, range.length);
    if (error_ != 0) return;
  }
}

Napi::Value ClearTask::Result(Napi::Env env) { return Napi::Number::New(env, error_); }

FileTask::FileTask(const Napi::Function& done, std::shared_ptr<File> file, Method method)
    : Task(done), file_(std::move(file)), method_(method) {}

void FileTask::Run() { error_ = ((*file_).*method_)(); }

Napi::Value FileTask::Result(Napi::Env env) { return Napi::Number::New(env, error_); }

}  // namespace lvmsync
