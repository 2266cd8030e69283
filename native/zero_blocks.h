#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lvmsync {

// For each block of `block_bytes`, 1 when it is all zeroes and 0 otherwise. The last block may be
// shorter.
std::vector<uint8_t> FindZeroBlocks(const uint8_t* data, size_t bytes, size_t block_bytes);

// The CRC-32C of bytes that have no block of zeroes among them, or else which blocks are.
struct Examined {
  uint32_t crc;
  std::vector<uint8_t> zero_blocks;  // empty when there are none
};

// Both in one look at the bytes; `seed` is the CRC of what came before them.
Examined Examine(const uint8_t* data, size_t bytes, size_t block_bytes, uint32_t seed);

}  // namespace lvmsync
