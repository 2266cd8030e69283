#pragma once

#include <cstddef>
#include <cstdint>

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

}  // namespace lvmsync
