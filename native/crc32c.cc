#include "crc32c.h"

#include <array>
#include <cstring>

#if defined(__x86_64__)
#define LVMSYNC_CRC32C_INSTRUCTION
#include <nmmintrin.h>
#elif defined(__aarch64__) && defined(__linux__)
#define LVMSYNC_CRC32C_INSTRUCTION
#include <arm_acle.h>
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

namespace lvmsync {

namespace {

constexpr uint32_t kPolynomial = 0x82f63b78;  // reflected
constexpr size_t kStep = 8;                   // bytes

using Tables = std::array<std::array<uint32_t, 256>, kStep>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t slice = 1; slice < kStep; ++slice) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[slice - 1][byte];
      tables[slice][byte] = (before >> 8) ^ tables[0][before & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

#if defined(LVMSYNC_CRC32C_INSTRUCTION)

uint64_t LoadWord(const uint8_t* data) {
  uint64_t word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

#endif

#if defined(__x86_64__)

bool HasInstruction() { return __builtin_cpu_supports("sse4.2") != 0; }

__attribute__((target("sse4.2"))) uint32_t ByInstruction(uint32_t seed, const uint8_t* data,
                                                         size_t bytes) {
  uint64_t crc = ~seed;
  for (; bytes >= kStep; bytes -= kStep, data += kStep) crc = _mm_crc32_u64(crc, LoadWord(data));
  auto rest = static_cast<uint32_t>(crc);
  for (; bytes > 0; --bytes, ++data) rest = _mm_crc32_u8(rest, *data);
  return ~rest;
}

#elif defined(__aarch64__) && defined(__linux__)

bool HasInstruction() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

__attribute__((target("+crc"))) uint32_t ByInstruction(uint32_t seed, const uint8_t* data,
                                                       size_t bytes) {
  uint32_t crc = ~seed;
  for (; bytes >= kStep; bytes -= kStep, data += kStep) crc = __crc32cd(crc, LoadWord(data));
  for (; bytes > 0; --bytes, ++data) crc = __crc32cb(crc, *data);
  return ~crc;
}

#endif

}  // namespace

uint32_t Crc32cByTables(uint32_t seed, const uint8_t* data, size_t bytes) {
  uint32_t crc = ~seed;
  for (; bytes >= kStep; bytes -= kStep, data += kStep) {
    crc ^= static_cast<uint32_t>(data[0]) | static_cast<uint32_t>(data[1]) << 8 |
           static_cast<uint32_t>(data[2]) << 16 | static_cast<uint32_t>(data[3]) << 24;
    crc = kTables[7][crc & 0xff] ^ kTables[6][(crc >> 8) & 0xff] ^ kTables[5][(crc >> 16) & 0xff] ^
          kTables[4][crc >> 24] ^ kTables[3][data[4]] ^ kTables[2][data[5]] ^ kTables[1][data[6]] ^
          kTables[0][data[7]];
  }
  for (; bytes > 0; --bytes, ++data) crc = (crc >> 8) ^ kTables[0][(crc ^ *data) & 0xff];
  return ~crc;
}

uint32_t Crc32c(uint32_t seed, const uint8_t* data, size_t bytes) {
#if defined(LVMSYNC_CRC32C_INSTRUCTION)
  static const bool has_instruction = HasInstruction();
  if (has_instruction) return ByInstruction(seed, data, bytes);
#endif
  return Crc32cByTables(seed, data, bytes);
}

}  // namespace lvmsync
