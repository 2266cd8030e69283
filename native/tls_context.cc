#include "tls_context.h"

#include <cstring>

#include "tls_handshake.h"

namespace lvmsync {

namespace {

// Of OpenSSL's ssl.h and tls1.h.
constexpr int kSetSessionCacheMode = 44;
constexpr int kSetMinVersion = 123;
constexpr long kTls13 = 0x0304;
// SSL_CTX_get_app_data's.
constexpr int kAppData = 0;

}  // namespace

std::shared_ptr<const TlsContext> TlsContext::Create(TlsKey key) {
  const OpenSsl* openssl = FindOpenSsl();
  if (openssl == nullptr) return nullptr;
  SslContext* ssl_context = openssl->SSL_CTX_new(openssl->TLS_method());
  if (ssl_context == nullptr) return nullptr;
  auto made = std::make_shared<TlsContext>(*openssl, ssl_context, std::move(key));
  const bool restricted =
      openssl->SSL_CTX_ctrl(ssl_context, kSetMinVersion, kTls13, nullptr) == 1 &&
      openssl->SSL_CTX_set_ciphersuites(ssl_context, "TLS_AES_128_GCM_SHA256") == 1 &&
      openssl->SSL_CTX_set_num_tickets(ssl_context, 0) == 1 &&
      openssl->SSL_CTX_set_ex_data(ssl_context, kAppData, made.get()) == 1;
  if (!restricted) return nullptr;
  openssl->SSL_CTX_ctrl(ssl_context, kSetSessionCacheMode, 0, nullptr);
  openssl->SSL_CTX_set_psk_server_callback(ssl_context, TakePsk);
  openssl->SSL_CTX_set_psk_client_callback(ssl_context, OfferPsk);
  openssl->SSL_CTX_set_keylog_callback(ssl_context, TlsHandshake::TakeSecret);
  return made;
}

const TlsKey& TlsContext::KeyOf(Ssl* ssl) {
  const OpenSsl* openssl = FindOpenSsl();
  const void* self = openssl->SSL_CTX_get_ex_data(openssl->SSL_get_SSL_CTX(ssl), kAppData);
  return static_cast<const TlsContext*>(self)->key_;
}

unsigned int TlsContext::TakePsk(Ssl* ssl, const char* identity, unsigned char* psk,
                                 unsigned int max_bytes) {
  const TlsKey& key = KeyOf(ssl);
  if (identity == nullptr || key.identity != identity || max_bytes < kPskBytes) return 0;
  std::memcpy(psk, key.psk.data(), kPskBytes);
  return kPskBytes;
}

unsigned int TlsContext::OfferPsk(Ssl* ssl, const char*, char* identity,
                                  unsigned int max_identity_bytes, unsigned char* psk,
                                  unsigned int max_bytes) {
  const TlsKey& key = KeyOf(ssl);
  const size_t identity_bytes = key.identity.size() + 1;
  if (identity_bytes > max_identity_bytes || max_bytes < kPskBytes) return 0;
  std::memcpy(identity, key.identity.c_str(), identity_bytes);
  std::memcpy(psk, key.psk.data(), kPskBytes);
  return kPskBytes;
}

}  // namespace lvmsync
