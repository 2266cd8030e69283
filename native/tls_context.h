#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "openssl.h"

namespace lvmsync {

constexpr size_t kPskBytes = 32;

// Who takes the key for TLS 1.3 under a name, and nothing else: there is no certificate.
struct TlsKey {
  std::string identity;
  std::array<uint8_t, kPskBytes> psk;
};

// What the handshakes of one listener, or of one end that connects, have in common.
class TlsContext {
 public:
  // nullptr when OpenSSL refuses, or is not there.
  static std::shared_ptr<const TlsContext> Create(TlsKey key);
  TlsContext(const OpenSsl& library, SslContext* context, TlsKey key)
      : library_(library), context_(context), key_(std::move(key)) {}
  ~TlsContext() { library_.SSL_CTX_free(context_); }
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  const OpenSsl& library() const { return library_; }
  SslContext* context() const { return context_; }

 private:
  static unsigned int TakePsk(Ssl* ssl, const char* identity, unsigned char* psk,
                              unsigned int max_bytes);
  static unsigned int OfferPsk(Ssl* ssl, const char* hint, char* identity,
                               unsigned int max_identity_bytes, unsigned char* psk,
                               unsigned int max_bytes);
  static const TlsKey& KeyOf(Ssl* ssl);

  const OpenSsl& library_;
  SslContext* context_;
  TlsKey key_;
};

}  // namespace lvmsync
