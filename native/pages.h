#pragma once

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

 private:
  size_t bytes_;
  uint8_t* data_;
};

// Whose memory an address is. When an environment ends, Node frees the memory of its buffers before
// any hook of ours runs; so a batch in flight owns the pages that it uses, and finds them here.
class PageRegistry {
 public:
  void Add(const std::shared_ptr<Pages>& pages);
  void Remove(const Pages& pages);
  // nullptr when the memory is not from here.
  std::shared_ptr<Pages> Find(const uint8_t* memory) const;

 private:
  std::map<const uint8_t*, std::weak_ptr<Pages>> by_start_;
};

}  // namespace lvmsync
