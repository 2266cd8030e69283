#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "openssl.h"

namespace lvmsync {

// OpenSSL's AES-GCM in one direction, a message at a time. For one thread. What returns a bool
// returns false when OpenSSL refuses.
class AesGcm {
 public:
  enum class Use : int { kOpen = 0, kSeal = 1 };
  static constexpr size_t kNonceBytes = 12;
  static constexpr size_t kTagBytes = 16;
  using Nonce = std::array<uint8_t, kNonceBytes>;

  AesGcm(const OpenSsl& library, Use use);
  ~AesGcm() { library_.EVP_CIPHER_CTX_free(context_); }
  AesGcm(const AesGcm&) = delete;
  AesGcm& operator=(const AesGcm&) = delete;

  // Keys are of 16 or 32 bytes.
  bool SetKey(const uint8_t* key, size_t key_bytes);
  // Begins a message behind bytes that are not encrypted, but that the tag is for, too.
  bool Begin(const Nonce& nonce, const uint8_t* clear, size_t clear_bytes);
  bool Crypt(const uint8_t* from, size_t bytes, uint8_t* into);
  // Ends a message that is sealed.
  bool WriteTag(uint8_t* tag);
  // Ends a message that is opened: false as well when it is not what was sealed.
  bool CheckTag(const uint8_t* tag);

 private:
  const OpenSsl& library_;
  EvpContext* const context_;  // nullptr when there was no memory
  const Use use_;
};

}  // namespace lvmsync
