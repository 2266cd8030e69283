#pragma once

#include <cstddef>
#include <cstdint>

namespace lvmsync {

// Bytes that come in order.
class Input {
 public:
  Input() = default;
  virtual ~Input() = default;
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // Reads what is there, and waits for it as long as is said. Returns the number of bytes, 0 at the
  // end, -EAGAIN when nothing came in that time, or another negative errno.
  virtual int64_t Read(uint8_t* into, size_t bytes, int wait_milliseconds) = 0;
};

// Input::Read for a pipe or socket.
int64_t ReadWhenReady(int fd, uint8_t* into, size_t bytes, int wait_milliseconds);

// A pipe or socket that may block. It stays the caller's.
class PipeInput : public Input {
 public:
  explicit PipeInput(int fd) : fd_(fd) {}
  int64_t Read(uint8_t* into, size_t bytes, int wait_milliseconds) override {
    return ReadWhenReady(fd_, into, bytes, wait_milliseconds);
  }

 private:
  int fd_;
};

// Lets a pipe hold as much as an unprivileged user may, so that the writer need not wait so often.
// Anything else, or a refusal, is left as it is.
void EnlargePipe(int fd);

}  // namespace lvmsync
