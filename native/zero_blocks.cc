#include "zero_blocks.h"

#include <algorithm>
#include <cstring>

namespace lvmsync {

namespace {

// Each byte equals the one before it, and the first is zero.
bool IsZero(const uint8_t* data, size_t bytes) {
  return data[0] == 0 && std::memcmp(data, data + 1, bytes - 1) == 0;
}

}  // namespace

std::vector<uint8_t> FindZeroBlocks(const uint8_t* data, size_t bytes, size_t block_bytes) {
  std::vector<uint8_t> found;
  found.reserve(bytes / block_bytes + 1);
  for (size_t start = 0; start < bytes; start += block_bytes) {
    found.push_back(IsZero(data + start, std::min(block_bytes, bytes - start)) ? 1 : 0);
  }
  return found;
}

}  // namespace lvmsync
