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
         Find("SSL_CTX_set_default_read_buffer_len", &ssl->SSL_CTX_set_default_read_buffer_len) &&
         Find("SSL_CTX_set_psk_server_callback", &ssl->SSL_CTX_set_psk_server_callback) &&
         Find("SSL_CTX_set_psk_client_callback", &ssl->SSL_CTX_set_psk_client_callback) &&
         Find("SSL_set_verify", &ssl->SSL_set_verify) &&
         Find("SSL_CTX_set_ex_data", &ssl->SSL_CTX_set_ex_data) &&
         Find("SSL_CTX_get_ex_data", &ssl->SSL_CTX_get_ex_data) &&
         Find("SSL_get_SSL_CTX", &ssl->SSL_get_SSL_CTX) && Find("SSL_new", &ssl->SSL_new) &&
         Find("SSL_free", &ssl->SSL_free) && Find("SSL_set_bio", &ssl->SSL_set_bio) &&
         Find("SSL_set_accept_state", &ssl->SSL_set_accept_state) &&
         Find("SSL_set_connect_state", &ssl->SSL_set_connect_state) &&
         Find("SSL_do_handshake", &ssl->SSL_do_handshake) &&
         Find("SSL_session_reused", &ssl->SSL_session_reused) &&
         Find("SSL_shutdown", &ssl->SSL_shutdown) && Find("SSL_read", &ssl->SSL_read) &&
         Find("SSL_write", &ssl->SSL_write) && Find("SSL_get_error", &ssl->SSL_get_error) &&
         Find("ERR_clear_error", &ssl->ERR_clear_error) &&
         Find("BIO_f_buffer", &ssl->BIO_f_buffer) && Find("BIO_new", &ssl->BIO_new) &&
         Find("BIO_new_socket", &ssl->BIO_new_socket) && Find("BIO_push", &ssl->BIO_push) &&
         Find("BIO_free_all", &ssl->BIO_free_all) && Find("BIO_int_ctrl", &ssl->BIO_int_ctrl) &&
         Find("BIO_ctrl", &ssl->BIO_ctrl) && Find("BIO_test_flags", &ssl->BIO_test_flags) &&
         Find("EVP_aes_128_gcm", &ssl->EVP_aes_128_gcm) &&
         Find("EVP_aes_256_gcm", &ssl->EVP_aes_256_gcm) &&
         Find("EVP_CIPHER_CTX_new", &ssl->EVP_CIPHER_CTX_new) &&
         Find("EVP_CIPHER_CTX_free", &ssl->EVP_CIPHER_CTX_free) &&
         Find("EVP_CIPHER_CTX_ctrl", &ssl->EVP_CIPHER_CTX_ctrl) &&
         Find("EVP_EncryptInit_ex", &ssl->EVP_EncryptInit_ex) &&
         Find("EVP_EncryptUpdate", &ssl->EVP_EncryptUpdate) &&
         Find("EVP_EncryptFinal_ex", &ssl->EVP_EncryptFinal_ex);
}

}  // namespace

const OpenSsl* FindOpenSsl() {
  static OpenSsl functions = {};
  static const bool found = FindAll(&functions);
  return found ? &functions : nullptr;
}

}  // namespace lvmsync
