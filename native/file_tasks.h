#pragma once

#include <memory>
#include <vector>

#include "environment.h"
#include "file.h"

namespace lvmsync {

// Answers { handle, blockDevice, sizeBytes, blockBytes, writeAlignBytes, thinVolume }, or { errno
// }.
class OpenTask : public Task {
 public:
  OpenTask(const Napi::Function& done, Environment* environment, OpenOptions options,
           BackendKind backend);
  void Run() override;
  void Fail(int error) override { error_ = error; }
  Napi::Value Result(Napi::Env env) override;

 private:
  Environment* environment_;
  OpenOptions options_;
  BackendKind backend_;
  std::shared_ptr<File> file_;
  int error_ = 0;
};

// Clears one range after the other, up to the first that fails; answers 0 or an errno.
class ClearTask : public Task {
 public:
  ClearTask(const Napi::Function& done, const ThreadPool& pool, std::shared_ptr<File> file,
            Clearing how, std::vector<Range> ranges);
  void Run() override;
  void Fail(int error) override { error_ = error; }
  Napi::Value Result(Napi::Env env) override;

 private:
  const ThreadPool& pool_;
  std::shared_ptr<File> file_;
  Clearing how_;
  std::vector<Range> ranges_;
  int error_ = 0;
};

// Calls one method of a file; answers 0 or an errno.
class FileTask : public Task {
 public:
  using Method = int (File::*)();
  FileTask(const Napi::Function& done, std::shared_ptr<File> file, Method method);
  void Run() override;
  void Fail(int error) override { error_ = error; }
  Napi::Value Result(Napi::Env env) override;

 private:
  std::shared_ptr<File> file_;
  Method method_;
  int error_ = 0;
};

}  // namespace lvmsync
