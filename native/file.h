#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace lvmsync {

// A file descriptor that is closed with its owner.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
  Descriptor& operator=(Descriptor&& other) noexcept;
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;

  int fd() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  // Returns 0 or an errno. A second call does nothing.
  int Close();

 private:
  int fd_ = -1;
};

struct OpenOptions {
  std::string path;
  bool write;
  bool exclusive;
};

struct Geometry {
  bool block_device;
  uint64_t size_bytes;
  uint32_t block_bytes;
  bool thin_volume;
};

// A stretch of a file.
struct Range {
  uint64_t offset;
  uint32_t length;
};

// How the kernel is to make a range read as zeroes.
enum class Clearing { kZero, kDiscard };

// An open block device or regular file: its O_DIRECT descriptor, or a buffered one where the file
// system has no O_DIRECT.
class File {
 public:
  // Returns 0 and sets `file`, or returns an errno. Never creates, never truncates.
  static int Open(const OpenOptions& options, std::shared_ptr<File>* file);

  File(Descriptor main, bool direct, const Geometry& geometry);

  const Geometry& geometry() const { return geometry_; }
  int fd() const { return main_.fd(); }
  bool direct() const { return direct_; }

  // What `fd` asks of offsets, lengths and memory: 1 when it is buffered.
  uint32_t align_bytes() const { return direct_ ? geometry_.block_bytes : 1; }

  // The granularity of direct writes. It is at least a page, so that a direct write never meets a
  // buffered one in the same page of the page cache, where either could overwrite the other.
  uint32_t write_align_bytes() const;

  // The same inode without O_DIRECT, for the edges of unaligned writes; opened at the first call.
  // Returns 0 and sets `fd`, or returns an errno.
  int BufferedFd(int* fd);

  // Has the kernel make a range read as zeroes, which starts and ends at multiples of
  // `write_align_bytes`. On a thin volume kDiscard only gives the space of whole chunks back: the
  // rest of the range is left as it is. Returns 0 or an errno; EOPNOTSUPP and the like where there
  // is no such way.
  int Clear(Clearing how, uint64_t offset, uint64_t length);

  // Returns 0 or an errno.
  int Flush();
  // Nothing may be in flight. Returns 0 or an errno.
  int Close();

 private:
  Descriptor main_;
  bool direct_;
  Geometry geometry_;
  std::mutex edge_mutex_;
  Descriptor edge_;
};

}  // namespace lvmsync
