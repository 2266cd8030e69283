#include "pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <iterator>
#include <utility>

namespace lvmsync {

namespace {

// Of x86-64, and of arm64 with pages of 4 KiB.
constexpr size_t kHugePageBytes = 2 << 20;
// What fills less is there sooner in small ones.
constexpr size_t kWorthBytes = kHugePageBytes / 4 * 3;
// More than the buffers that a receiver has of sixteen links, of each of which short records use a
// quarter; less than a heap that is worth a collection.
constexpr size_t kMaxHiddenBytes = 128 << 20;

uint8_t* Map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<uint8_t*>(memory);
}

// So that there can be huge pages from its start on.
uint8_t* MapAligned(size_t bytes) {
  const auto page_bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t used_bytes = (bytes + page_bytes - 1) / page_bytes * page_bytes;
  uint8_t* const mapped = Map(used_bytes + kHugePageBytes);
  if (mapped == nullptr) return nullptr;
  const size_t before = -reinterpret_cast<uintptr_t>(mapped) % kHugePageBytes;
  uint8_t* const aligned = mapped + before;
  if (before > 0) munmap(mapped, before);
  munmap(aligned + used_bytes, kHugePageBytes - before);
  return aligned;
}

}  // namespace

Pages::Pages(size_t bytes)
    : bytes_(bytes),
      data_(bytes < kHugePageBytes ? Map(bytes) : MapAligned(bytes)),
      is_huge_(std::make_unique<std::atomic<bool>[]>(bytes / kHugePageBytes)) {}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

// A direct request of 1 MiB pins a huge page or two where it would pin 256 small ones, and is a
// single segment to the disk. What is left behind the last whole huge page stays small pages, and
// a kernel that gives none gives small ones.
void Pages::FaultIn(const uint8_t* memory, size_t bytes, size_t operation_bytes) const {
  if (bytes == 0 || operation_bytes < kWorthBytes) return;
  const auto start = static_cast<size_t>(memory - data_);
  const size_t last = (start + bytes - 1) / kHugePageBytes;
  for (size_t page = start / kHugePageBytes; page <= last; ++page) {
    if (page == bytes_ / kHugePageBytes) return;
    if (is_huge_[page].exchange(true)) continue;
    uint8_t* const first = data_ + page * kHugePageBytes;
    static_cast<void>(madvise(first, kHugePageBytes, MADV_HUGEPAGE));
    // A write that changes nothing, whoever else writes there.
    uint8_t value = __atomic_load_n(first, __ATOMIC_RELAXED);
    __atomic_compare_exchange_n(first, &value, value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  }
}

void PageRegistry::Add(const std::shared_ptr<Pages>& pages) {
  by_start_.emplace(pages->data(), pages);
}

void PageRegistry::Remove(const Pages& pages) { by_start_.erase(pages.data()); }

std::shared_ptr<Pages> PageRegistry::Find(const uint8_t* memory) const {
  auto entry = by_start_.upper_bound(memory);
  if (entry == by_start_.begin()) return nullptr;
  std::shared_ptr<Pages> pages = std::prev(entry)->second.lock();
  return pages != nullptr && memory < pages->data() + pages->bytes() ? pages : nullptr;
}

size_t PageRegistry::Hide(Pages* pages) {
  if (hidden_bytes_ + pages->bytes_ > kMaxHiddenBytes) return 0;
  hidden_bytes_ += pages->bytes_;
  pages->hidden_bytes_ = pages->bytes_;
  return pages->bytes_;
}

size_t PageRegistry::Show(Pages* pages) {
  const size_t hidden_bytes = std::exchange(pages->hidden_bytes_, 0);
  hidden_bytes_ -= hidden_bytes;
  return hidden_bytes;
}

}  // namespace lvmsync
