#include "tls_records.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace lvmsync {

namespace {

constexpr size_t kTagBytes = AesGcm::kTagBytes;
constexpr size_t kKeyBytes = 16;
// Records for one key, 1 GiB. RFC 8446, 5.5 allows a few hundred times as much.
constexpr uint64_t kRecordsPerKey = 1 << 16;

constexpr uint8_t kNewSessionTicket = 4;
constexpr uint8_t kKeyUpdate = 24;

// HKDF-Expand-Label without a context, of no more than one SHA-256: RFC 8446, 7.1, and RFC
// 5869, 2.3.
bool ExpandLabel(const OpenSsl& library, const TrafficSecret& secret, std::string_view label,
                 uint8_t* into, size_t bytes) {
  const std::string full_label = "tls13 " + std::string(label);
  std::vector<uint8_t> info = {0, static_cast<uint8_t>(bytes),
                               static_cast<uint8_t>(full_label.size())};
  info.insert(info.end(), full_label.begin(), full_label.end());
  info.insert(info.end(), {0, 1});  // the length of the context, and which block of the output
  TrafficSecret block;
  const auto* made = library.HMAC(library.EVP_sha256(), secret.data(), secret.size(), info.data(),
                                  info.size(), block.data(), nullptr);
  if (made == nullptr) return false;
  std::copy_n(block.begin(), bytes, into);
  return true;
}

}  // namespace

std::unique_ptr<RecordKeys> RecordKeys::Create(const OpenSsl& library, const TrafficSecret& secret,
                                               AesGcm::Use use) {
  auto keys = std::make_unique<RecordKeys>(library, use);
  return keys->Derive(secret) ? std::move(keys) : nullptr;
}

bool RecordKeys::Advance() {
  TrafficSecret next;
  return ExpandLabel(library_, secret_, "traffic upd", next.data(), next.size()) && Derive(next);
}

bool RecordKeys::Derive(const TrafficSecret& secret) {
  std::array<uint8_t, kKeyBytes> key;
  secret_ = secret;
  records_ = 0;
  return ExpandLabel(library_, secret, "key", key.data(), key.size()) &&
         ExpandLabel(library_, secret, "iv", iv_.data(), iv_.size()) &&
         cipher_.SetKey(key.data(), key.size());
}

bool RecordKeys::Begin(const uint8_t* header) {
  // 5.3: the number of the record, in the last bytes of the IV.
  AesGcm::Nonce nonce = iv_;
  for (size_t byte = 0; byte < sizeof(records_); ++byte) {
    nonce[nonce.size() - 1 - byte] ^= static_cast<uint8_t>(records_ >> (8 * byte));
  }
  ++records_;
  return cipher_.Begin(nonce, header, kRecordHeaderBytes);
}

bool RecordSealer::is_worn() const { return keys_->records() >= kRecordsPerKey; }

size_t RecordSealer::Seal(ContentType type, const uint8_t* content, size_t bytes, uint8_t* into) {
  const auto type_byte = static_cast<uint8_t>(type);
  uint8_t* end = into;
  while (bytes > 0) {
    const size_t part = std::min(bytes, kMostContentBytes);
    const size_t sealed_bytes = part + 1 + kTagBytes;
    uint8_t* const header = end;
    // As if it were of the version before: 5.2.
    header[0] = static_cast<uint8_t>(ContentType::kData);
    header[1] = 3;
    header[2] = 3;
    header[3] = static_cast<uint8_t>(sealed_bytes >> 8);
    header[4] = static_cast<uint8_t>(sealed_bytes);
    end += kRecordHeaderBytes;
    if (!keys_->Begin(header) || !keys_->cipher().Crypt(content, part, end)) return 0;
    end += part;
    if (!keys_->cipher().Crypt(&type_byte, 1, end) || !keys_->cipher().WriteTag(end + 1)) return 0;
    end += 1 + kTagBytes;
    content += part;
    bytes -= part;
  }
  return static_cast<size_t>(end - into);
}

size_t RecordSealer::SealKeyUpdate(uint8_t* into) {
  // Its length in three bytes, and that the other end need not do the same: 4.6.3.
  const std::array<uint8_t, 5> message = {kKeyUpdate, 0, 0, 1, 0};
  const size_t bytes = Seal(ContentType::kHandshake, message.data(), message.size(), into);
  return bytes > 0 && keys_->Advance() ? bytes : 0;
}

std::optional<size_t> RecordOpener::RecordBytes(const uint8_t* received, size_t bytes) {
  if (bytes < kRecordHeaderBytes) return 0;
  const size_t record_bytes = kRecordHeaderBytes + (received[3] << 8 | received[4]);
  const bool is_valid = received[0] == static_cast<uint8_t>(ContentType::kData) &&
                        record_bytes >= kAroundContentBytes && record_bytes <= kMostRecordBytes;
  if (!is_valid) return std::nullopt;
  return record_bytes <= bytes ? record_bytes : 0;
}

RecordOpener::Opened RecordOpener::Open(const uint8_t* record, size_t record_bytes, uint8_t* into) {
  size_t bytes = ContentRoom(record_bytes);
  const uint8_t* const sealed = record + kRecordHeaderBytes;
  uint8_t type = 0;
  const bool is_whole = keys_->Begin(record) && keys_->cipher().Crypt(sealed, bytes, into) &&
                        keys_->cipher().Crypt(sealed + bytes, 1, &type) &&
                        keys_->cipher().CheckTag(sealed + bytes + 1);
  if (!is_whole) return {Opened::What::kBroken, 0};
  // 5.4: zeroes may follow the type.
  while (type == 0 && bytes > 0) type = into[--bytes];
  if (type == static_cast<uint8_t>(ContentType::kData)) return {Opened::What::kData, bytes};
  return TakeControl(static_cast<ContentType>(type), into, bytes);
}

RecordOpener::Opened RecordOpener::TakeControl(ContentType type, const uint8_t* content,
                                               size_t bytes) {
  constexpr Opened kBroken = {Opened::What::kBroken, 0};
  if (type == ContentType::kAlert) {
    const bool is_end = bytes == 2 && content[1] == kCloseNotify;
    return is_end ? Opened{Opened::What::kEnd, 0} : kBroken;
  }
  if (type != ContentType::kHandshake || bytes == 0) return kBroken;
  // No session is ever resumed.
  if (content[0] == kNewSessionTicket) return {Opened::What::kNothing, 0};
  // 5.1: whatever changes keys ends its record.
  if (content[0] != kKeyUpdate || bytes != 5 || !keys_->Advance()) return kBroken;
  const bool is_wanted = content[4] == 1;
  return {is_wanted ? Opened::What::kKeyUpdateWanted : Opened::What::kNothing, 0};
}

}  // namespace lvmsync
