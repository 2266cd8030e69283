#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "aes_gcm.h"
#include "openssl.h"

namespace lvmsync {

// Records of TLS 1.3 behind a handshake that has agreed on TLS_AES_128_GCM_SHA256: RFC 8446, 5.
// OpenSSL's own copy all data twice at either end, an eighth of all that the links take.

constexpr size_t kRecordHeaderBytes = 5;
constexpr size_t kMostContentBytes = 16 << 10;
// The type of the content behind it, and the tag.
constexpr size_t kAroundContentBytes = kRecordHeaderBytes + 1 + AesGcm::kTagBytes;
constexpr size_t kSealedRecordBytes = kMostContentBytes + kAroundContentBytes;
// A peer may pad its own: RFC 8446, 5.2.
constexpr size_t kMostRecordBytes = kRecordHeaderBytes + kMostContentBytes + 256;

// What the keys of one direction are derived from: as long as a SHA-256.
using TrafficSecret = std::array<uint8_t, 32>;

enum class ContentType : uint8_t { kAlert = 21, kHandshake = 22, kData = 23 };

// The description of an alert that tells the end: 6.1.
constexpr uint8_t kCloseNotify = 0;

// The keys of one direction. For one thread.
class RecordKeys {
 public:
  // nullptr when OpenSSL refuses.
  static std::unique_ptr<RecordKeys> Create(const OpenSsl& library, const TrafficSecret& secret,
                                            AesGcm::Use use);
  RecordKeys(const OpenSsl& library, AesGcm::Use use) : library_(library), cipher_(library, use) {}
  RecordKeys(const RecordKeys&) = delete;
  RecordKeys& operator=(const RecordKeys&) = delete;

  // Records since the keys are these.
  uint64_t records() const { return records_; }

  // These return false when OpenSSL refuses; nothing can be sealed or opened any more then.
  // Takes the keys that follow (7.2).
  bool Advance();
  // Begins a record with this header.
  bool Begin(const uint8_t* header);
  // For what comes behind the header.
  AesGcm& cipher() { return cipher_; }

 private:
  bool Derive(const TrafficSecret& secret);

  const OpenSsl& library_;
  AesGcm cipher_;
  TrafficSecret secret_;
  AesGcm::Nonce iv_;
  uint64_t records_ = 0;
};

// What is written.
class RecordSealer {
 public:
  explicit RecordSealer(std::unique_ptr<RecordKeys> keys) : keys_(std::move(keys)) {}

  // Whether the keys have to change before more data is sealed.
  bool is_worn() const;
  // Writes as many records as it takes to `into`, whole ones but for the last. Returns how long
  // they are together, or 0 when OpenSSL refuses.
  size_t Seal(ContentType type, const uint8_t* content, size_t bytes, uint8_t* into);
  // The same with a message that tells of new keys, which come into use behind it.
  size_t SealKeyUpdate(uint8_t* into);

 private:
  const std::unique_ptr<RecordKeys> keys_;
};

// What is read.
class RecordOpener {
 public:
  // What a record has come to.
  struct Opened {
    enum class What { kData, kNothing, kKeyUpdateWanted, kEnd, kBroken } what;
    size_t bytes;  // of data
  };

  explicit RecordOpener(std::unique_ptr<RecordKeys> keys) : keys_(std::move(keys)) {}

  // How long a record that begins so is: 0 while too little of it is there to tell, nothing if none
  // may be so.
  static std::optional<size_t> RecordBytes(const uint8_t* received, size_t bytes);
  // How much room its content takes while it is opened.
  static size_t ContentRoom(size_t record_bytes) { return record_bytes - kAroundContentBytes; }

  // Opens a whole record into memory that is elsewhere, or just behind its header.
  Opened Open(const uint8_t* record, size_t record_bytes, uint8_t* into);

 private:
  Opened TakeControl(ContentType type, const uint8_t* content, size_t bytes);

  const std::unique_ptr<RecordKeys> keys_;
};

}  // namespace lvmsync
