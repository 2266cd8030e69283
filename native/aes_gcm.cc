#include "aes_gcm.h"

#include <algorithm>

namespace lvmsync {

namespace {

// Of OpenSSL's evp.h.
constexpr int kGetTag = 0x10;
constexpr int kSetTag = 0x11;

}  // namespace

AesGcm::AesGcm(const OpenSsl& library, Use use)
    : library_(library), context_(library.EVP_CIPHER_CTX_new()), use_(use) {}

bool AesGcm::SetKey(const uint8_t* key, size_t key_bytes) {
  if (context_ == nullptr) return false;
  const void* cipher = key_bytes == 16 ? library_.EVP_aes_128_gcm() : library_.EVP_aes_256_gcm();
  return library_.EVP_CipherInit_ex(context_, cipher, nullptr, key, nullptr,
                                    static_cast<int>(use_)) == 1;
}

bool AesGcm::Begin(const Nonce& nonce, const uint8_t* clear, size_t clear_bytes) {
  return library_.EVP_CipherInit_ex(context_, nullptr, nullptr, nullptr, nonce.data(),
                                    static_cast<int>(use_)) == 1 &&
         Crypt(clear, clear_bytes, nullptr);
}

bool AesGcm::Crypt(const uint8_t* from, size_t bytes, uint8_t* into) {
  int done = 0;
  return library_.EVP_CipherUpdate(context_, into, &done, from, static_cast<int>(bytes)) == 1;
}

bool AesGcm::WriteTag(uint8_t* tag) {
  int done = 0;
  return library_.EVP_CipherFinal_ex(context_, tag, &done) == 1 &&
         library_.EVP_CIPHER_CTX_ctrl(context_, kGetTag, kTagBytes, tag) == 1;
}

bool AesGcm::CheckTag(const uint8_t* tag) {
  std::array<uint8_t, kTagBytes> expected;
  std::copy_n(tag, kTagBytes, expected.begin());
  int done = 0;
  return library_.EVP_CIPHER_CTX_ctrl(context_, kSetTag, kTagBytes, expected.data()) == 1 &&
         library_.EVP_CipherFinal_ex(context_, expected.data(), &done) == 1;
}

}  // namespace lvmsync
