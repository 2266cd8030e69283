#include "pages.h"

#include <sys/mman.h>

#include <iterator>

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

}  // namespace lvmsync
