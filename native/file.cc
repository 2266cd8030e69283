#include "file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "thin.h"

namespace lvmsync {

namespace {

// Direct I/O on a file follows the file system's block, which is at most this unless the device
// underneath has larger ones.
constexpr uint32_t kFileBlockBytes = 4096;

// Returns 0 when `status` is of something that can be opened without side effects (opening a pipe
// waits for its other end, opening a tape winds it), or an errno.
int CheckKind(const struct stat& status) {
  if (S_ISBLK(status.st_mode) || S_ISREG(status.st_mode)) return 0;
  return S_ISDIR(status.st_mode) ? EISDIR : ENOTBLK;
}

uint32_t FileBlockBytes(int fd) {
  uint32_t bytes = kFileBlockBytes;
#ifdef STATX_DIOALIGN
  struct statx status = {};
  if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0 &&
      (status.stx_mask & STATX_DIOALIGN) != 0) {
    bytes = std::max(bytes, status.stx_dio_offset_align);
  }
#else
  static_cast<void>(fd);
#endif
  return bytes;
}

// EROFS for a device that is set read-only; many drivers say so only when it is written.
int ReadGeometry(int fd, bool write, Geometry* geometry) {
  struct stat status = {};
  if (fstat(fd, &status) != 0) return errno;
  if (const int error = CheckKind(status); error != 0) return error;
  geometry->block_device = S_ISBLK(status.st_mode);
  if (!geometry->block_device) {
    geometry->size_bytes = static_cast<uint64_t>(status.st_size);
    geometry->block_bytes = FileBlockBytes(fd);
    return 0;
  }
  int block_bytes = 0;
  int read_only = 0;
  if (ioctl(fd, BLKGETSIZE64, &geometry->size_bytes) != 0) return errno;
  if (ioctl(fd, BLKSSZGET, &block_bytes) != 0) return errno;
  if (ioctl(fd, BLKROGET, &read_only) != 0) return errno;
  if (write && read_only != 0) return EROFS;
  geometry->block_bytes = static_cast<uint32_t>(block_bytes);
  geometry->thin_volume = write && IsThinVolume(status.st_rdev);
  return 0;
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

int Descriptor::Close() {
  if (fd_ < 0) return 0;
  // Linux frees the descriptor even when close is interrupted: never try again (close(2)).
  const int result = close(std::exchange(fd_, -1));
  return result == 0 || errno == EINTR ? 0 : errno;
}

File::File(Descriptor main, bool direct, const Geometry& geometry)
    : main_(std::move(main)), direct_(direct), geometry_(geometry) {}

int File::Open(const OpenOptions& options, std::shared_ptr<File>* file) {
  if (options.path.find('\0') != std::string::npos) return EINVAL;
  struct stat status = {};
  if (stat(options.path.c_str(), &status) != 0) return errno;
  if (const int error = CheckKind(status); error != 0) return error;

  int flags = (options.write ? O_RDWR : O_RDONLY) | O_CLOEXEC;
  if (options.exclusive && S_ISBLK(status.st_mode)) flags |= O_EXCL;
  bool with_direct = true;
  Descriptor main(open(options.path.c_str(), flags | O_DIRECT));
  if (!main.valid() && errno == EINVAL) {  // the file system has no O_DIRECT (open(2))
    with_direct = false;
    main = Descriptor(open(options.path.c_str(), flags));
  }
  if (!main.valid()) return errno;

  Geometry found = {};
  if (const int error = ReadGeometry(main.fd(), options.write, &found); error != 0) {
    return error;
  }
  *file = std::make_shared<File>(std::move(main), with_direct, found);
  return 0;
}

uint32_t File::write_align_bytes() const {
  if (!direct_) return 1;
  return std::max(geometry_.block_bytes, static_cast<uint32_t>(sysconf(_SC_PAGESIZE)));
}

int File::BufferedFd(int* fd) {
  const std::lock_guard<std::mutex> lock(edge_mutex_);
  if (!edge_.valid()) {
    const std::string same = "/proc/self/fd/" + std::to_string(main_.fd());
    edge_ = Descriptor(open(same.c_str(), O_WRONLY | O_CLOEXEC));
    if (!edge_.valid()) return errno;
  }
  *fd = edge_.fd();
  return 0;
}

int File::Clear(Clearing how, uint64_t offset, uint64_t length) {
  if (geometry_.block_device && (how == Clearing::kZero || geometry_.thin_volume)) {
    // What else uses the page cache of the range is invalidated by the kernel.
    const std::array<uint64_t, 2> range = {offset, length};
    const unsigned long request = how == Clearing::kZero ? BLKZEROOUT : BLKDISCARD;
    return ioctl(main_.fd(), request, range.data()) == 0 ? 0 : errno;
  }
  // On a block device too: zeroes that the device promises, its space given back where it can
  // (blkdev_fallocate in the kernel's block/fops.c). BLKDISCARD promises nothing.
  const int result = fallocate(main_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                               static_cast<off_t>(offset), static_cast<off_t>(length));
  return result == 0 ? 0 : errno;
}

int File::Flush() {
  if (fsync(main_.fd()) != 0) return errno;
  // What went through the page cache is not needed there any more: it would push out what is.
  if (!direct_) static_cast<void>(posix_fadvise(main_.fd(), 0, 0, POSIX_FADV_DONTNEED));
  return 0;
}

int File::Close() {
  const int main_error = main_.Close();
  const int edge_error = edge_.Close();
  return main_error != 0 ? main_error : edge_error;
}

}  // namespace lvmsync
