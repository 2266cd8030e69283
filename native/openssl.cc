#include "openssl.h"

#include <dlfcn.h>

namespace lvmsync {

namespace {

template <typename Function>
bool Find(const char* name, Function* function) {
  *function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  return *function != nullptr;
}

bool FindAll(OpenSsl* ssl) {
  return Find("TLS_method", &ssl->TLS_method) && Find("SSL_CTX_new", &ssl->SSL_CTX_new) &&
         Find("SSL_CTX_free", &ssl->SSL_CTX_free) && Find("SSL_CTX_ctrl", &ssl->SSL_CTX_ctrl) &&
         Find("SSL_CTX_set_ciphersuites", &ssl->SSL_CTX_set_ciphersuites) &&
         Find("SSL_CTX_set_num_tickets", &ssl->SSL_CTX_set_num_tickets) &&
         Find("SSL_CTX_set_psk_server_callback", &ssl->SSL_CTX_set_psk_server_callback) &&
         Find("SSL_CTX_set_psk_client_callback", &ssl->SSL_CTX_set_psk_client_callback) &&
         Find("SSL_CTX_set_keylog_callback", &ssl->SSL_CTX_set_keylog_callback) &&
         Find("SSL_CTX_set_ex_data", &ssl->SSL_CTX_set_ex_data) &&
         Find("SSL_CTX_get_ex_data", &ssl->SSL_CTX_get_ex_data) &&
         Find("SSL_get_SSL_CTX", &ssl->SSL_get_SSL_CTX) && Find("SSL_new", &ssl->SSL_new) &&
         Find("SSL_free", &ssl->SSL_free) && Find("SSL_set_fd", &ssl->SSL_set_fd) &&
         Find("SSL_set_ex_data", &ssl->SSL_set_ex_data) &&
         Find("SSL_get_ex_data", &ssl->SSL_get_ex_data) &&
         Find("SSL_set_accept_state", &ssl->SSL_set_accept_state) &&
         Find("SSL_set_connect_state", &ssl->SSL_set_connect_state) &&
         Find("SSL_set_verify", &ssl->SSL_set_verify) &&
         Find("SSL_do_handshake", &ssl->SSL_do_handshake) &&
         Find("SSL_session_reused", &ssl->SSL_session_reused) &&
         Find("SSL_get_error", &ssl->SSL_get_error) &&
         Find("ERR_clear_error", &ssl->ERR_clear_error) &&
         Find("EVP_aes_128_gcm", &ssl->EVP_aes_128_gcm) &&
         Find("EVP_aes_256_gcm", &ssl->EVP_aes_256_gcm) &&
         Find("EVP_CIPHER_CTX_new", &ssl->EVP_CIPHER_CTX_new) &&
         Find("EVP_CIPHER_CTX_free", &ssl->EVP_CIPHER_CTX_free) &&
         Find("EVP_CIPHER_CTX_ctrl", &ssl->EVP_CIPHER_CTX_ctrl) &&
         Find("EVP_CipherInit_ex", &ssl->EVP_CipherInit_ex) &&
         Find("EVP_CipherUpdate", &ssl->EVP_CipherUpdate) &&
         Find("EVP_CipherFinal_ex", &ssl->EVP_CipherFinal_ex) &&
         Find("EVP_sha256", &ssl->EVP_sha256) && Find("HMAC", &ssl->HMAC);
}

}  // namespace

const OpenSsl* FindOpenSsl() {
  static OpenSsl functions = {};
  static const bool found = FindAll(&functions);
  return found ? &functions : nullptr;
}

}  // namespace lvmsync
