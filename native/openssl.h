#pragma once

#include <cstddef>
#include <cstdint>

namespace lvmsync {

// What OpenSSL calls SSL, SSL_CTX and BIO.
struct Ssl;
struct SslContext;
struct Bio;
// What it calls EVP_CIPHER_CTX.
struct EvpContext;

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
  void (*SSL_CTX_set_default_read_buffer_len)(SslContext* context, size_t bytes);
  void (*SSL_CTX_set_psk_server_callback)(SslContext* context, PskServerCallback callback);
  void (*SSL_CTX_set_psk_client_callback)(SslContext* context, PskClientCallback callback);
  int (*SSL_CTX_set_ex_data)(SslContext* context, int index, void* data);
  void* (*SSL_CTX_get_ex_data)(const SslContext* context, int index);
  SslContext* (*SSL_get_SSL_CTX)(const Ssl* ssl);
  Ssl* (*SSL_new)(SslContext* context);
  void (*SSL_free)(Ssl* ssl);
  void (*SSL_set_bio)(Ssl* ssl, Bio* read, Bio* write);
  void (*SSL_set_accept_state)(Ssl* ssl);
  void (*SSL_set_connect_state)(Ssl* ssl);
  void (*SSL_set_verify)(Ssl* ssl, int mode, void* callback);
  int (*SSL_do_handshake)(Ssl* ssl);
  int (*SSL_session_reused)(const Ssl* ssl);
  int (*SSL_shutdown)(Ssl* ssl);
  int (*SSL_read)(Ssl* ssl, void* into, int bytes);
  int (*SSL_write)(Ssl* ssl, const void* from, int bytes);
  int (*SSL_get_error)(const Ssl* ssl, int result);
  void (*ERR_clear_error)();
  const void* (*BIO_f_buffer)();
  Bio* (*BIO_new)(const void* method);
  Bio* (*BIO_new_socket)(int fd, int close);
  Bio* (*BIO_push)(Bio* first, Bio* next);
  void (*BIO_free_all)(Bio* first);
  long (*BIO_int_ctrl)(Bio* bio, int command, long number, int second);
  long (*BIO_ctrl)(Bio* bio, int command, long number, void* pointer);
  int (*BIO_test_flags)(const Bio* bio, int flags);
  const void* (*EVP_aes_128_gcm)();
  const void* (*EVP_aes_256_gcm)();
  EvpContext* (*EVP_CIPHER_CTX_new)();
  void (*EVP_CIPHER_CTX_free)(EvpContext* context);
  int (*EVP_CIPHER_CTX_ctrl)(EvpContext* context, int command, int number, void* pointer);
  int (*EVP_EncryptInit_ex)(EvpContext* context, const void* cipher, void* engine,
                            const unsigned char* key, const unsigned char* iv);
  int (*EVP_EncryptUpdate)(EvpContext* context, unsigned char* into, int* into_bytes,
                           const unsigned char* from, int from_bytes);
  int (*EVP_EncryptFinal_ex)(EvpContext* context, unsigned char* into, int* into_bytes);
};

// nullptr where Node was built without it, or with another library that lacks some of it.
const OpenSsl* FindOpenSsl();

}  // namespace lvmsync
