#include "transfer.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "pages.h"

namespace lvmsync {

namespace {

// A stretch of the device and the memory that its bytes go to or come from.
struct Span {
  int fd;
  uint64_t offset;
  uint32_t length;
  uint8_t* memory;
};

// One buffer for each thread, made when it is first needed. nullptr when there is no memory.
uint8_t* BounceMemory() {
  static thread_local const Pages pages(kMaxRequestBytes);
  return pages.data();
}

// Repeats `call` until the first `needed` bytes are through. Direct I/O can stop in the middle of a
// block at the end of a file: then it goes on from that block's start, or gives up.
template <typename Call>
std::optional<Failure> Repeat(const Span& span, uint32_t needed, uint32_t align_bytes,
                              const Call& call) {
  for (uint32_t done = 0; done < needed;) {
    const uint32_t rest = span.length - done;
    const auto offset = static_cast<off_t>(span.offset + done);
    const ssize_t moved = call(span.fd, span.memory + done, rest, offset);
    if (moved < 0) {
      if (errno == EINTR) continue;
      return Failure{errno, span.offset + done, rest};
    }
    const auto bytes = static_cast<uint32_t>(moved);
    if (done + bytes >= needed) break;
    const uint32_t kept = bytes - bytes % align_bytes;
    if (kept == 0) return Failure{0, span.offset + done, rest};
    done += kept;
  }
  return std::nullopt;
}

std::optional<Failure> Read(const Span& span, uint32_t needed, uint32_t align_bytes) {
  return Repeat(span, needed, align_bytes, pread);
}

std::optional<Failure> Write(const Span& span, uint32_t align_bytes) {
  return Repeat(span, span.length, align_bytes, pwrite);
}

std::optional<Failure> ReadBounced(const File& file, const Request& request) {
  uint8_t* bounce = BounceMemory();
  if (bounce == nullptr) return Failure{ENOMEM, request.offset, request.length};
  const uint32_t align = file.align_bytes();
  const auto before = static_cast<uint32_t>(request.offset % align);
  const uint32_t needed = before + request.length;
  const uint32_t length = (needed + align - 1) / align * align;
  const auto failure = Read({file.fd(), request.offset - before, length, bounce}, needed, align);
  if (!failure) std::memcpy(request.memory, bounce + before, request.length);
  return failure;
}

std::optional<Failure> WriteBounced(const File& file, const Request& request) {
  uint8_t* bounce = BounceMemory();
  if (bounce == nullptr) return Failure{ENOMEM, request.offset, request.length};
  std::memcpy(bounce, request.memory, request.length);
  return Write({file.fd(), request.offset, request.length, bounce}, file.align_bytes());
}

std::optional<Failure> WriteBuffered(File* file, const Request& request) {
  int fd = -1;
  if (const int error = file->BufferedFd(&fd); error != 0) {
    return Failure{error, request.offset, request.length};
  }
  return Write({fd, request.offset, request.length, request.memory}, 1);
}

}  // namespace

std::optional<Failure> Transfer(const Batch& batch, const Request& request) {
  File& file = batch.file();
  const Span span = {file.fd(), request.offset, request.length, request.memory};
  if (batch.direction() == Direction::kRead) {
    if (request.way == Way::kBounced) return ReadBounced(file, request);
    return Read(span, request.length, file.align_bytes());
  }
  switch (request.way) {
    case Way::kBounced:
      return WriteBounced(file, request);
    case Way::kBuffered:
      return WriteBuffered(&file, request);
    case Way::kPlain:
      break;
  }
  return Write(span, file.align_bytes());
}

}  // namespace lvmsync
