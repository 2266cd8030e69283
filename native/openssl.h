#pragma once

#include <cstddef>
#include <cstdint>

namespace lvmsync {

// What OpenSSL calls SSL and SSL_CTX.
struct Ssl;
struct SslContext;

using PskCallback = unsigned int (*)(Ssl* ssl, const char* identity, unsigned char* psk,
                                     unsigned int max_bytes);

// The functions of OpenSSL's libssl that a TLS server takes, as its manual pages have them. Node
// brings the library along and shows it to addons.
struct OpenSsl {
  const void* (*TLS_server_method)();
  SslContext* (*SSL_CTX_new)(const void* method);
  void (*SSL_CTX_free)(SslContext* context);
  long (*SSL_CTX_ctrl)(SslContext* context, int command, long number, void* pointer);
  int (*SSL_CTX_set_ciphersuites)(SslContext* context, const char* names);
  int (*SSL_CTX_set_num_tickets)(SslContext* context, size_t count);
  void (*SSL_CTX_set_default_read_buffer_len)(SslContext* context, size_t bytes);
  void (*SSL_CTX_set_psk_server_callback)(SslContext* context, PskCallback callback);
  int (*SSL_CTX_set_ex_data)(SslContext* context, int index, void* data);
  void* (*SSL_CTX_get_ex_data)(const SslContext* context, int index);
  SslContext* (*SSL_get_SSL_CTX)(const Ssl* ssl);
  Ssl* (*SSL_new)(SslContext* context);
  void (*SSL_free)(Ssl* ssl);
  int (*SSL_set_fd)(Ssl* ssl, int fd);
  void (*SSL_set_accept_state)(Ssl* ssl);
  int (*SSL_read)(Ssl* ssl, void* into, int bytes);
  int (*SSL_write)(Ssl* ssl, const void* from, int bytes);
  int (*SSL_get_error)(const Ssl* ssl, int result);
  void (*ERR_clear_error)();
};

// nullptr where Node was built without it, or with another library that lacks some of it.
const OpenSsl* FindOpenSsl();

}  // namespace lvmsync
