#pragma once

#include <cstddef>
#include <cstdint>

namespace lvmsync {

// The CRC-32C (Castagnoli; RFC 3720 appendix B.4) of `bytes` bytes, going on from `seed`, the CRC
// of what came before them: by the processor's own instruction where it has one.
uint32_t Crc32c(uint32_t seed, const uint8_t* data, size_t bytes);

// The same by tables, for any processor.
uint32_t Crc32cByTables(uint32_t seed, const uint8_t* data, size_t bytes);

}  // namespace lvmsync
