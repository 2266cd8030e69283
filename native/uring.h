#pragma once

#include <linux/io_uring.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "file.h"

namespace lvmsync {

// A mapped part of a ring.
class RingMapping {
 public:
  RingMapping() = default;
  ~RingMapping();
  RingMapping(const RingMapping&) = delete;
  RingMapping& operator=(const RingMapping&) = delete;

  // Returns 0 or an errno.
  int Map(int fd, size_t bytes, uint64_t kernel_offset);

  template <typename T>
  T* At(uint32_t offset) const {
    return reinterpret_cast<T*>(static_cast<uint8_t*>(start_) + offset);
  }

 private:
  void* start_ = nullptr;
  size_t bytes_ = 0;
};

// An io_uring by its system calls alone (io_uring(7)); for one thread.
class Uring {
 public:
  // Returns 0 and sets `ring`, or returns an errno: EPERM and ENOSYS where the kernel, its
  // io_uring_disabled or a container's seccomp profile forbid it, or it is too old.
  static int Create(uint32_t depth, std::unique_ptr<Uring>* ring);

  // How many entries can be prepared between two calls of Enter.
  uint32_t depth() const { return *sq_entries_; }

  // An entry to fill in; zeroed. The caller knows that there is room.
  io_uring_sqe* Prepare();

  // Submits what was prepared and waits for at least one completion. Returns 0 or an errno; what
  // was not submitted is next time.
  int Enter();

  // Calls completed(user_data, result) for each completion that has arrived.
  template <typename Completed>
  void Reap(const Completed& completed) {
    uint32_t head = *cq_head_;
    while (head != __atomic_load_n(cq_tail_, __ATOMIC_ACQUIRE)) {
      const io_uring_cqe entry = cqes_[head & *cq_mask_];
      __atomic_store_n(cq_head_, ++head, __ATOMIC_RELEASE);
      completed(entry.user_data, entry.res);
    }
  }

 private:
  int MapRings(const io_uring_params& parameters);
  bool Supports(uint8_t opcode) const;

  Descriptor fd_;
  RingMapping rings_;
  RingMapping entries_;
  uint32_t unsubmitted_ = 0;
  uint32_t* sq_tail_ = nullptr;
  uint32_t* sq_mask_ = nullptr;
  uint32_t* sq_entries_ = nullptr;
  uint32_t* sq_array_ = nullptr;
  io_uring_sqe* sqes_ = nullptr;
  uint32_t* cq_head_ = nullptr;
  uint32_t* cq_tail_ = nullptr;
  uint32_t* cq_mask_ = nullptr;
  io_uring_cqe* cqes_ = nullptr;
};

}  // namespace lvmsync
