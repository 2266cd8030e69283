#include "uring.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace lvmsync {

RingMapping::~RingMapping() {
  if (start_ != nullptr) munmap(start_, bytes_);
}

int RingMapping::Map(int fd, size_t bytes, uint64_t kernel_offset) {
  void* start = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
                     static_cast<off_t>(kernel_offset));
  if (start == MAP_FAILED) return errno;
  start_ = start;
  bytes_ = bytes;
  return 0;
}

int Uring::Create(uint32_t depth, std::unique_ptr<Uring>* ring) {
  io_uring_params parameters = {};
  auto made = std::make_unique<Uring>();
  made->fd_ = Descriptor(static_cast<int>(syscall(SYS_io_uring_setup, depth, &parameters)));
  if (!made->fd_.valid()) return errno;
  // One mapping for both rings (5.4), and no completion is ever dropped (5.5).
  constexpr uint32_t kNeeded = IORING_FEAT_SINGLE_MMAP | IORING_FEAT_NODROP;
  if ((parameters.features & kNeeded) != kNeeded) return ENOSYS;
  const std::array<uint8_t, 3> opcodes = {IORING_OP_READ, IORING_OP_WRITE, IORING_OP_POLL_ADD};
  const auto supported = [&](uint8_t opcode) { return made->Supports(opcode); };
  if (!std::all_of(opcodes.begin(), opcodes.end(), supported)) return ENOSYS;
  if (const int error = made->MapRings(parameters); error != 0) return error;
  *ring = std::move(made);
  return 0;
}

int Uring::MapRings(const io_uring_params& parameters) {
  const io_sqring_offsets& sq = parameters.sq_off;
  const io_cqring_offsets& cq = parameters.cq_off;
  const size_t ring_bytes = std::max(sq.array + parameters.sq_entries * sizeof(uint32_t),
                                     cq.cqes + parameters.cq_entries * sizeof(io_uring_cqe));
  int error = rings_.Map(fd_.fd(), ring_bytes, IORING_OFF_SQ_RING);
  if (error != 0) return error;
  error = entries_.Map(fd_.fd(), parameters.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
  if (error != 0) return error;

  sq_tail_ = rings_.At<uint32_t>(sq.tail);
  sq_mask_ = rings_.At<uint32_t>(sq.ring_mask);
  sq_entries_ = rings_.At<uint32_t>(sq.ring_entries);
  sq_array_ = rings_.At<uint32_t>(sq.array);
  sqes_ = entries_.At<io_uring_sqe>(0);
  cq_head_ = rings_.At<uint32_t>(cq.head);
  cq_tail_ = rings_.At<uint32_t>(cq.tail);
  cq_mask_ = rings_.At<uint32_t>(cq.ring_mask);
  cqes_ = rings_.At<io_uring_cqe>(cq.cqes);
  return 0;
}

// By IORING_REGISTER_PROBE (5.6), which came with the opcodes that are asked for.
bool Uring::Supports(uint8_t opcode) const {
  constexpr uint32_t kOperations = 64;
  std::vector<uint64_t> memory((sizeof(io_uring_probe) + kOperations * sizeof(io_uring_probe_op)) /
                               sizeof(uint64_t));
  auto* probe = reinterpret_cast<io_uring_probe*>(memory.data());
  const long result =
      syscall(SYS_io_uring_register, fd_.fd(), IORING_REGISTER_PROBE, probe, kOperations);
  return result == 0 && opcode <= probe->last_op &&
         (probe->ops[opcode].flags & IO_URING_OP_SUPPORTED) != 0;
}

io_uring_sqe* Uring::Prepare() {
  const uint32_t tail = *sq_tail_;
  const uint32_t index = tail & *sq_mask_;
  sq_array_[index] = index;
  sqes_[index] = {};
  // Without a polling kernel thread the kernel looks at the tail in Enter only.
  __atomic_store_n(sq_tail_, tail + 1, __ATOMIC_RELEASE);
  ++unsubmitted_;
  return &sqes_[index];
}

int Uring::Enter() {
  const long submitted =
      syscall(SYS_io_uring_enter, fd_.fd(), unsubmitted_, 1, IORING_ENTER_GETEVENTS, nullptr, 0);
  if (submitted < 0) return errno;
  unsubmitted_ -= static_cast<uint32_t>(submitted);
  return 0;
}

}  // namespace lvmsync
