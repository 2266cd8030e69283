#pragma once

#include <cstdint>
#include <vector>

namespace lvmsync {

// One piece of a batch, as the caller describes it. Any offset, length and address.
struct Piece {
  uint64_t offset;
  uint32_t length;
  uint8_t* memory;
};

// How the bytes of a request travel.
enum class Way {
  kPlain,     // straight between the descriptor and the caller's memory
  kBounced,   // through page-aligned memory, because something is not aligned
  kBuffered,  // through the page cache: the unaligned edge of a write
};

// One system call's worth of a batch; at most kMaxRequestBytes.
struct Request {
  uint64_t offset;
  uint32_t length;
  Way way;
  uint8_t* memory;
};

// Larger requests gain nothing; smaller ones run side by side.
constexpr uint32_t kMaxRequestBytes = 1024 * 1024;

// Sort the pieces, join those that continue both on the device and in memory, and cut at multiples
// of kMaxRequestBytes on the device, so that a cut never makes an unaligned edge.
std::vector<Request> PlanReads(std::vector<Piece> pieces, uint32_t align_bytes);
std::vector<Request> PlanWrites(std::vector<Piece> pieces, uint32_t align_bytes,
                                uint32_t write_align_bytes);

}  // namespace lvmsync
