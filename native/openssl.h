#pragma once

#include <cstddef>
#include <cstdint>

namespace lvmsync {

// What OpenSSL calls SSL and SSL_CTX.
struct Ssl;
struct SslContext;
// What it calls EVP_CIPHER_CTX.
struct EvpContext;

using KeylogCallback = void (*)(const Ssl* ssl, const char* line);
using PskServerCallback = unsigned int (*)(Ssl* ssl, const char* identity, unsigned char* psk,
                                           unsigned int max_bytes);
using PskClientCallback = unsigned int (*)(Ssl* ssl, const char* hint, char* identity,
                                           unsigned int max_identity_bytes, unsigned char* psk,
                                           unsigned int max_bytes);

// The functions of OpenSSL that both ends of TLS and the packets of SSH take, as its manual pages
// have them. Node brings the library along and shows it to addons.
struct OpenSsl {
  const void* (*TLS_method)();
  SslContext* (*SSL_CTX_new)(const void* method);
  void (*SSL_CTX_free)(SslContext* context);
  long (*SSL_CTX_ctrl)(SslContext* context, int command, long number, void* pointer);
  int (*SSL_CTX_set_ciphersuites)(SslContext* context, const char* names);
  int (*SSL_CTX_set_num_tickets)(SslContext* context, size_t count);
  void (*SSL_CTX_set_psk_server_callback)(SslContext* context, PskServerCallback callback);
  void (*SSL_CTX_set_psk_client_callback)(SslContext* context, PskClientCallback callback);
  void (*SSL_CTX_set_keylog_callback)(SslContext* context, KeylogCallback callback);
  int (*SSL_CTX_set_ex_data)(SslContext* context, int index, void* data);
  void* (*SSL_CTX_get_ex_data)(const SslContext* context, int index);
  SslContext* (*SSL_get_SSL_CTX)(const Ssl* ssl);
  Ssl* (*SSL_new)(SslContext* context);
  void (*SSL_free)(Ssl* ssl);
  int (*SSL_set_fd)(Ssl* ssl, int fd);
  int (*SSL_set_ex_data)(Ssl* ssl, int index, void* data);
  void* (*SSL_get_ex_data)(const Ssl* ssl, int index);
  void (*SSL_set_accept_state)(Ssl* ssl);
  void (*SSL_set_connect_state)(Ssl* ssl);
  void (*SSL_set_verify)(Ssl* ssl, int mode, void* callback);
  int (*SSL_do_handshake)(Ssl* ssl);
  int (*SSL_session_reused)(const Ssl* ssl);
  int (*SSL_get_error)(const Ssl* ssl, int result);
  void (*ERR_clear_error)();
  const void* (*EVP_aes_128_gcm)();
  const void* (*EVP_aes_256_gcm)();
  EvpContext* (*EVP_CIPHER_CTX_new)();
  void (*EVP_CIPHER_CTX_free)(EvpContext* context);
  int (*EVP_CIPHER_CTX_ctrl)(EvpContext* context, int command, int number, void* pointer);
  int (*EVP_CipherInit_ex)(EvpContext* context, const void* cipher, void* engine,
                           const unsigned char* key, const unsigned char* iv, int encrypts);
  int (*EVP_CipherUpdate)(EvpContext* context, unsigned char* into, int* into_bytes,
                          const unsigned char* from, int from_bytes);
  int (*EVP_CipherFinal_ex)(EvpContext* context, unsigned char* into, int* into_bytes);
  const void* (*EVP_sha256)();
  unsigned char* (*HMAC)(const void* digest, const void* key, int key_bytes,
                         const unsigned char* data, size_t bytes, unsigned char* into,
                         unsigned int* into_bytes);
};

// nullptr where Node was built without it, or with another library that lacks some of it.
const OpenSsl* FindOpenSsl();

}  // namespace lvmsync
