#include "tls.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

namespace lvmsync {

namespace {

// How often a waiting thread looks whether it is to end.
constexpr int kPollMilliseconds = 100;
// Eight records: one system call for what would be sixteen.
constexpr size_t kReadAheadBytes = 128 << 10;
constexpr int kBacklog = 8;

// Of OpenSSL's ssl.h and tls1.h.
constexpr int kSetReadAhead = 41;
constexpr int kSetSessionCacheMode = 44;
constexpr int kSetMinVersion = 123;
constexpr long kTls13 = 0x0304;
constexpr int kErrorWantRead = 2;
constexpr int kErrorWantWrite = 3;
constexpr int kErrorSyscall = 5;
constexpr int kErrorZeroReturn = 6;
// SSL_CTX_get_app_data's.
constexpr int kAppData = 0;

uint16_t PortOf(int fd) {
  sockaddr_storage address = {};
  socklen_t bytes = sizeof(address);
  if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &bytes) != 0) return 0;
  const auto* ip4 = reinterpret_cast<const sockaddr_in*>(&address);
  const auto* ip6 = reinterpret_cast<const sockaddr_in6*>(&address);
  return ntohs(address.ss_family == AF_INET6 ? ip6->sin6_port : ip4->sin_port);
}

// Returns 0 and sets `socket`, or returns an errno.
int ListenOn(const std::string& host, Descriptor* socket_out) {
  addrinfo hints = {};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), "0", &hints, &found) != 0) return EADDRNOTAVAIL;
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> address(found, freeaddrinfo);
  Descriptor made(socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made.valid()) return errno;
  if (bind(made.fd(), address->ai_addr, address->ai_addrlen) != 0) return errno;
  if (listen(made.fd(), kBacklog) != 0) return errno;
  *socket_out = std::move(made);
  return 0;
}

}  // namespace

std::shared_ptr<const TlsContext> TlsContext::Create(TlsKey key) {
  const OpenSsl* openssl = FindOpenSsl();
  if (openssl == nullptr) return nullptr;
  SslContext* ssl_context = openssl->SSL_CTX_new(openssl->TLS_server_method());
  if (ssl_context == nullptr) return nullptr;
  auto made = std::make_shared<TlsContext>(*openssl, ssl_context, std::move(key));
  const bool restricted =
      openssl->SSL_CTX_ctrl(ssl_context, kSetMinVersion, kTls13, nullptr) == 1 &&
      openssl->SSL_CTX_set_ciphersuites(ssl_context, "TLS_AES_128_GCM_SHA256") == 1 &&
      openssl->SSL_CTX_set_num_tickets(ssl_context, 0) == 1 &&
      openssl->SSL_CTX_set_ex_data(ssl_context, kAppData, made.get()) == 1;
  if (!restricted) return nullptr;
  openssl->SSL_CTX_ctrl(ssl_context, kSetSessionCacheMode, 0, nullptr);
  openssl->SSL_CTX_ctrl(ssl_context, kSetReadAhead, 1, nullptr);
  openssl->SSL_CTX_set_default_read_buffer_len(ssl_context, kReadAheadBytes);
  openssl->SSL_CTX_set_psk_server_callback(ssl_context, GivePsk);
  return made;
}

unsigned int TlsContext::GivePsk(Ssl* ssl, const char* identity, unsigned char* psk,
                                 unsigned int max_bytes) {
  const OpenSsl* openssl = FindOpenSsl();
  const auto* self = static_cast<const TlsContext*>(
      openssl->SSL_CTX_get_ex_data(openssl->SSL_get_SSL_CTX(ssl), kAppData));
  if (identity == nullptr || self->key_.identity != identity || max_bytes < kPskBytes) return 0;
  std::memcpy(psk, self->key_.psk.data(), kPskBytes);
  return kPskBytes;
}

std::shared_ptr<TlsLink> TlsLink::Create(std::shared_ptr<const TlsContext> context,
                                         Descriptor socket) {
  const OpenSsl& library = context->library();
  Ssl* ssl = library.SSL_new(context->context());
  if (ssl == nullptr) return nullptr;
  auto link = std::make_shared<TlsLink>(std::move(context), std::move(socket), ssl);
  if (library.SSL_set_fd(ssl, link->socket_.fd()) != 1) return nullptr;
  library.SSL_set_accept_state(ssl);
  return link;
}

int64_t TlsLink::Read(uint8_t* into, size_t bytes, int wait_milliseconds) {
  for (int wait = wait_milliseconds; !end_; wait = 0) {
    const Attempt attempt = TryRead(into, bytes);
    end_ = attempt.end;
    if (attempt.bytes > 0) return static_cast<int64_t>(attempt.bytes);
    if (end_) break;
    pollfd waiting = {socket_.fd(), attempt.wait_for, 0};
    if (wait == 0 || poll(&waiting, 1, wait) == 0) return -EAGAIN;
  }
  return *end_;
}

TlsLink::Attempt TlsLink::TryRead(uint8_t* into, size_t bytes) {
  const OpenSsl& library = context_->library();
  const std::lock_guard<std::mutex> lock(mutex_);
  library.ERR_clear_error();
  errno = 0;
  const int got = library.SSL_read(ssl_, into, static_cast<int>(std::min<size_t>(bytes, INT_MAX)));
  if (got > 0) return {static_cast<size_t>(got), 0, std::nullopt};
  const int system_error = errno;
  switch (library.SSL_get_error(ssl_, got)) {
    case kErrorWantRead:
      return {0, POLLIN, std::nullopt};
    case kErrorWantWrite:
      return {0, POLLOUT, std::nullopt};
    case kErrorZeroReturn:
      return {0, 0, 0};
    case kErrorSyscall:
      return {0, 0, system_error == 0 ? -ECONNRESET : -system_error};
    default:
      return {0, 0, -EPROTO};  // no key, damaged, or cut without an end
  }
}

int TlsLink::Write(const uint8_t* from, size_t bytes) {
  const OpenSsl& library = context_->library();
  const std::lock_guard<std::mutex> lock(mutex_);
  library.ERR_clear_error();
  const int wrote = library.SSL_write(ssl_, from, static_cast<int>(bytes));
  return wrote == static_cast<int>(bytes) ? 0 : EPIPE;
}

void TlsLink::Shutdown() { static_cast<void>(shutdown(socket_.fd(), SHUT_RDWR)); }

int TlsListener::Listen(const std::string& host, TlsKey key,
                        std::shared_ptr<TlsListener>* listener) {
  auto context = TlsContext::Create(std::move(key));
  if (context == nullptr) return ENOTSUP;
  Descriptor socket;
  if (const int error = ListenOn(host, &socket); error != 0) return error;
  const uint16_t chosen_port = PortOf(socket.fd());
  *listener = std::make_shared<TlsListener>(std::move(context), std::move(socket), chosen_port);
  return 0;
}

std::shared_ptr<TlsLink> TlsListener::Accept(const ThreadPool& pool) const {
  while (!closed_ && !pool.stopping()) {
    pollfd waiting = {socket_.fd(), POLLIN, 0};
    if (poll(&waiting, 1, kPollMilliseconds) <= 0) continue;
    Descriptor accepted(accept4(socket_.fd(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!accepted.valid()) continue;  // gone again, or no descriptor left at the moment
    if (auto link = TlsLink::Create(context_, std::move(accepted))) return link;
  }
  return nullptr;
}

void TlsListener::Shutdown() {
  closed_ = true;
  static_cast<void>(shutdown(socket_.fd(), SHUT_RDWR));
}

}  // namespace lvmsync
