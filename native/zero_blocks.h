#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace lvmsync {

// For each block of `block_bytes`, 1 when it is all zeroes and 0 otherwise. The last block may be
// shorter.
std::vector<uint8_t> FindZeroBlocks(const uint8_t* data, size_t bytes, size_t block_bytes);

}  // namespace lvmsync
