#include "pages.h"

#include <sys/mman.h>

namespace lvmsync {

namespace {

uint8_t* Map(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : static_cast<uint8_t*>(memory);
}

}  // namespace

Pages::Pages(size_t bytes) : bytes_(bytes), data_(Map(bytes)) {}

Pages::~Pages() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

}  // namespace lvmsync
