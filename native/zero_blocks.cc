#include "zero_blocks.h"

#include <algorithm>
#include <cstring>

#include "crc32c.h"

namespace lvmsync {

namespace {

// Few enough to stay in the cache of a core between two looks.
constexpr size_t kStepBytes = 64 << 10;

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

Examined Examine(const uint8_t* data, size_t bytes, size_t block_bytes, uint32_t seed) {
  const size_t step = std::max(kStepBytes / block_bytes, size_t{1}) * block_bytes;
  uint32_t crc = seed;
  for (size_t start = 0; start < bytes; start += step) {
    const size_t end = std::min(start + step, bytes);
    for (size_t block = start; block < end; block += block_bytes) {
      if (!IsZero(data + block, std::min(block_bytes, end - block))) continue;
      return {0, FindZeroBlocks(data, bytes, block_bytes)};
    }
    crc = Crc32c(crc, data + start, end - start);
  }
  return {crc, {}};
}

}  // namespace lvmsync
