#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

namespace lvmsync {

// Page-aligned, zeroed memory that is given back with its owner.
class Pages {
 public:
  explicit Pages(size_t bytes);
  ~Pages();
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;

  // nullptr when there was no memory.
  uint8_t* data() const { return data_; }
  size_t bytes() const { return bytes_; }

  // Lets there be memory behind a range of these before the kernel copies to it or pins it, which
  // it would do with the lock held that every mmap of the process waits for. Of huge pages, which
  // take some milliseconds where the host has to find them first, where an operation has so many
  // bytes that they fill them; small ones are found as they are needed. For any thread.
  void FaultIn(const uint8_t* memory, size_t bytes, size_t operation_bytes) const;

 private:
  friend class PageRegistry;

  size_t bytes_;
  size_t hidden_bytes_ = 0;
  uint8_t* data_;
  std::unique_ptr<std::atomic<bool>[]> is_huge_;  // of each that could be
};

// Whose memory an address is. When an environment ends, Node frees the memory of its buffers before
// any hook of ours runs; so a batch in flight owns the pages that it uses, and finds them here.
class PageRegistry {
 public:
  void Add(const std::shared_ptr<Pages>& pages);
  void Remove(const Pages& pages);
  // nullptr when the memory is not from here.
  std::shared_ptr<Pages> Find(const uint8_t* memory) const;

  // V8 counts the memory of buffers as garbage that a collection may find, and collects all of its
  // heap in one go when some dozens of mebibytes have come: milliseconds in which nothing else is
  // done, for buffers that stay until their transfer ends. So it is not told of the first 128 MiB;
  // of what is beyond it is, so that what nobody releases is collected. For its thread alone.

  // Returns how many bytes of the pages V8 is to forget again, once it has counted them.
  size_t Hide(Pages* pages);
  // Returns how many bytes V8 is to count again, before it takes all of the pages off.
  size_t Show(Pages* pages);

 private:
  size_t hidden_bytes_ = 0;
  std::map<const uint8_t*, std::weak_ptr<Pages>> by_start_;
};

}  // namespace lvmsync
