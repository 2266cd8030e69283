#include "plan.h"

#include <algorithm>

namespace lvmsync {

namespace {

// Neighbouring pieces joined: longer than a single piece can be.
struct Run {
  uint64_t offset;
  uint64_t length;
  uint8_t* memory;

  bool ContinuesWith(const Piece& piece) const {
    return piece.offset == offset + length && piece.memory == memory + length;
  }
};

void SortByOffset(std::vector<Piece>* pieces) {
  const auto before = [](const Piece& a, const Piece& b) { return a.offset < b.offset; };
  if (!std::is_sorted(pieces->begin(), pieces->end(), before)) {
    std::sort(pieces->begin(), pieces->end(), before);
  }
}

// Calls add(offset, length, memory) for each stretch of at most kMaxRequestBytes.
template <typename Add>
void Cut(const Run& run, const Add& add) {
  for (uint64_t done = 0; done < run.length;) {
    const uint64_t start = run.offset + done;
    const uint64_t room = kMaxRequestBytes - start % kMaxRequestBytes;
    const auto taken = static_cast<uint32_t>(std::min(room, run.length - done));
    add(start, taken, run.memory + done);
    done += taken;
  }
}

template <typename Add>
void JoinAndCut(std::vector<Piece>* pieces, const Add& add) {
  SortByOffset(pieces);
  Run run = {0, 0, nullptr};
  for (const Piece& piece : *pieces) {
    if (run.length > 0 && run.ContinuesWith(piece)) {
      run.length += piece.length;
    } else {
      Cut(run, add);
      run = {piece.offset, piece.length, piece.memory};
    }
  }
  Cut(run, add);
}

bool IsAligned(const uint8_t* memory, uint32_t align_bytes) {
  return reinterpret_cast<uintptr_t>(memory) % align_bytes == 0;
}

}  // namespace

std::vector<Request> PlanReads(std::vector<Piece> pieces, uint32_t align_bytes) {
  std::vector<Request> requests;
  JoinAndCut(&pieces, [&](uint64_t offset, uint32_t length, uint8_t* memory) {
    const bool aligned =
        offset % align_bytes == 0 && length % align_bytes == 0 && IsAligned(memory, align_bytes);
    requests.push_back({offset, length, aligned ? Way::kPlain : Way::kBounced, memory});
  });
  return requests;
}

std::vector<Request> PlanWrites(std::vector<Piece> pieces, uint32_t align_bytes,
                                uint32_t write_align_bytes) {
  std::vector<Request> requests;
  JoinAndCut(&pieces, [&](uint64_t offset, uint32_t length, uint8_t* memory) {
    const uint64_t end = offset + length;
    const uint64_t direct_start =
        (offset + write_align_bytes - 1) / write_align_bytes * write_align_bytes;
    const uint64_t direct_end = end - end % write_align_bytes;
    if (direct_start >= direct_end) {
      requests.push_back({offset, length, Way::kBuffered, memory});
      return;
    }
    const auto add = [&](uint64_t from, uint64_t to, Way way) {
      const auto bytes = static_cast<uint32_t>(to - from);
      if (bytes > 0) requests.push_back({from, bytes, way, memory + (from - offset)});
    };
    const bool aligned = IsAligned(memory + (direct_start - offset), align_bytes);
    add(offset, direct_start, Way::kBuffered);
    add(direct_start, direct_end, aligned ? Way::kPlain : Way::kBounced);
    add(direct_end, end, Way::kBuffered);
  });
  return requests;
}

}  // namespace lvmsync
