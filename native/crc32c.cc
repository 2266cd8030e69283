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

// The instruction takes three cycles but can begin anew in each: three lanes keep it busy. Three
// lanes of 170 words are a block of 4 KiB but for its last two words.
constexpr size_t kLaneBytes = 170 * kStep;
constexpr size_t kLanesBytes = 3 * kLaneBytes;
constexpr size_t kCacheLineBytes = 64;

// What `kLaneBytes` zeroes behind it make of a CRC register, which is linear in its bits.
using SkipTables = std::array<std::array<uint32_t, 256>, 4>;

constexpr SkipTables MakeSkipTables() {
  SkipTables tables{};
  for (int bit = 0; bit < 32; ++bit) {
    uint32_t crc = uint32_t{1} << bit;
    for (size_t i = 0; i < kLaneBytes; ++i) crc = (crc >> 8) ^ kTables[0][crc & 0xff];
    for (uint32_t byte = 0; byte < 256; ++byte) {
      if ((byte >> (bit % 8) & 1) != 0) tables[static_cast<size_t>(bit / 8)][byte] ^= crc;
    }
  }
  return tables;
}

constexpr SkipTables kSkipTables = MakeSkipTables();

uint32_t SkipLane(uint32_t crc) {
  return kSkipTables[0][crc & 0xff] ^ kSkipTables[1][(crc >> 8) & 0xff] ^
         kSkipTables[2][(crc >> 16) & 0xff] ^ kSkipTables[3][crc >> 24];
}

uint64_t LoadWord(const uint8_t* data) {
  uint64_t word;
  std::memcpy(&word, data, sizeof(word));
  return word;
}

#if defined(__x86_64__)

#define LVMSYNC_CRC32C_TARGET __attribute__((target("sse4.2")))

bool HasInstruction() { return __builtin_cpu_supports("sse4.2") != 0; }

LVMSYNC_CRC32C_TARGET inline uint32_t AddWord(uint32_t crc, const uint8_t* data) {
  return static_cast<uint32_t>(_mm_crc32_u64(crc, LoadWord(data)));
}

LVMSYNC_CRC32C_TARGET inline uint32_t AddByte(uint32_t crc, uint8_t byte) {
  return _mm_crc32_u8(crc, byte);
}

#else

#define LVMSYNC_CRC32C_TARGET __attribute__((target("+crc")))

bool HasInstruction() { return (getauxval(AT_HWCAP) & HWCAP_CRC32) != 0; }

LVMSYNC_CRC32C_TARGET inline uint32_t AddWord(uint32_t crc, const uint8_t* data) {
  return __crc32cd(crc, LoadWord(data));
}

LVMSYNC_CRC32C_TARGET inline uint32_t AddByte(uint32_t crc, uint8_t byte) {
  return __crc32cb(crc, byte);
}

#endif

LVMSYNC_CRC32C_TARGET uint32_t ByInstruction(uint32_t seed, const uint8_t* data, size_t bytes) {
  uint32_t crc = ~seed;
  for (; bytes >= kLanesBytes; bytes -= kLanesBytes, data += kLanesBytes) {
    uint32_t second = 0;
    uint32_t third = 0;
    // The processor hardly reads ahead of three lanes that each begin anew in every page.
    const uint8_t* const ahead = bytes >= 2 * kLanesBytes ? data + kLanesBytes : data;
    for (size_t at = 0; at < kLaneBytes; at += kStep) {
      if (at % kCacheLineBytes == 0) {
        for (size_t line = 0; line < 3; ++line) {
          __builtin_prefetch(ahead + 3 * at + line * kCacheLineBytes);
        }
      }
      crc = AddWord(crc, data + at);
      second = AddWord(second, data + kLaneBytes + at);
      third = AddWord(third, data + 2 * kLaneBytes + at);
    }
    crc = SkipLane(SkipLane(crc) ^ second) ^ third;
  }
  for (; bytes >= kStep; bytes -= kStep, data += kStep) crc = AddWord(crc, data);
  for (; bytes > 0; --bytes, ++data) crc = AddByte(crc, *data);
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
