#include "tls_handshake.h"

#include <poll.h>

#include <cerrno>
#include <string_view>
#include <utility>

namespace lvmsync {

namespace {

// Of OpenSSL's ssl.h.
constexpr int kErrorWantRead = 2;
constexpr int kErrorWantWrite = 3;
constexpr int kErrorSyscall = 5;
constexpr int kVerifyPeer = 1;
// SSL_get_app_data's.
constexpr int kAppData = 0;

int HexDigit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  return -1;
}

// Of a line of a key log (its label, the client's random number, the secret), if it has the label.
void ReadSecret(std::string_view line, std::string_view label,
                std::optional<TrafficSecret>* secret) {
  TrafficSecret read;
  const size_t hex_digits = 2 * read.size();
  if (line.substr(0, label.size()) != label || line.size() < label.size() + hex_digits) return;
  const std::string_view hex = line.substr(line.size() - hex_digits);
  for (size_t at = 0; at < read.size(); ++at) {
    const int high = HexDigit(hex[2 * at]);
    const int low = HexDigit(hex[2 * at + 1]);
    if (high < 0 || low < 0) return;
    read[at] = static_cast<uint8_t>(high << 4 | low);
  }
  *secret = read;
}

}  // namespace

std::unique_ptr<TlsHandshake> TlsHandshake::Create(std::shared_ptr<const TlsContext> context,
                                                   int fd, TlsRole role) {
  Ssl* ssl = context->library().SSL_new(context->context());
  if (ssl == nullptr) return nullptr;
  auto handshake = std::make_unique<TlsHandshake>(std::move(context), ssl, role);
  return handshake->Attach(fd) ? std::move(handshake) : nullptr;
}

bool TlsHandshake::Attach(int fd) {
  const OpenSsl& openssl = library();
  if (openssl.SSL_set_ex_data(ssl_, kAppData, this) != 1) return false;
  if (openssl.SSL_set_fd(ssl_, fd) != 1) return false;
  if (role_ == TlsRole::kServer) {
    openssl.SSL_set_accept_state(ssl_);
  } else {
    openssl.SSL_set_connect_state(ssl_);
    // No certificate can stand in for the key: there is nothing to verify one by.
    openssl.SSL_set_verify(ssl_, kVerifyPeer, nullptr);
  }
  return true;
}

void TlsHandshake::TakeSecret(const Ssl* ssl, const char* line) {
  auto* self = static_cast<TlsHandshake*>(FindOpenSsl()->SSL_get_ex_data(ssl, kAppData));
  ReadSecret(line, "CLIENT_TRAFFIC_SECRET_0 ", &self->client_);
  ReadSecret(line, "SERVER_TRAFFIC_SECRET_0 ", &self->server_);
}

TlsHandshake::Step TlsHandshake::Try() {
  const OpenSsl& openssl = library();
  openssl.ERR_clear_error();
  errno = 0;
  const int done = openssl.SSL_do_handshake(ssl_);
  const int system_error = errno;
  if (done == 1) {
    // OpenSSL counts a handshake by pre-shared key as the resumption of a session.
    const bool by_key = openssl.SSL_session_reused(ssl_) == 1;
    const bool have_all = by_key && client_ && server_;
    return {have_all, 0, have_all ? 0 : EPROTO};
  }
  switch (openssl.SSL_get_error(ssl_, done)) {
    case kErrorWantRead:
      return {false, POLLIN, 0};
    case kErrorWantWrite:
      return {false, POLLOUT, 0};
    case kErrorSyscall:
      return {false, 0, system_error == 0 ? ECONNRESET : system_error};
    default:
      return {false, 0, EPROTO};  // no key, or damaged
  }
}

}  // namespace lvmsync
