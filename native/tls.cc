#include "tls.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "sockets.h"

namespace lvmsync {

namespace {

// A full record: its header, its content and that one's type, and the tag (RFC 8446, 5.2).
constexpr size_t kRecordBytes = 5 + (16 << 10) + 1 + 16;
// Four records, and what OpenSSL may leave free before them: one system call for what would be
// eight. Not more, since it moves all that it has read ahead to the front for each record.
constexpr size_t kReadAheadBytes = 4 * kRecordBytes + 8;
// So many bytes of records for one system call.
constexpr long kWriteBufferBytes = 256 << 10;

// Of OpenSSL's ssl.h, tls1.h and bio.h.
constexpr int kSetReadAhead = 41;
constexpr int kSetSessionCacheMode = 44;
constexpr int kSetMinVersion = 123;
constexpr long kTls13 = 0x0304;
constexpr int kErrorWantRead = 2;
constexpr int kErrorWantWrite = 3;
constexpr int kErrorSyscall = 5;
constexpr int kErrorZeroReturn = 6;
constexpr int kVerifyPeer = 1;
constexpr int kFlush = 11;
constexpr int kSetBufferSize = 117;
constexpr int kShouldRetry = 8;
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
  openssl->SSL_CTX_ctrl(ssl_context, kSetReadAhead, 1, nullptr);
  openssl->SSL_CTX_set_default_read_buffer_len(ssl_context, kReadAheadBytes);
  openssl->SSL_CTX_set_psk_server_callback(ssl_context, TakePsk);
  openssl->SSL_CTX_set_psk_client_callback(ssl_context, OfferPsk);
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

std::shared_ptr<TlsLink> TlsLink::Create(std::shared_ptr<const TlsContext> context,
                                         Descriptor socket, TlsRole role) {
  const OpenSsl& library = context->library();
  Ssl* ssl = library.SSL_new(context->context());
  if (ssl == nullptr) return nullptr;
  auto link = std::make_shared<TlsLink>(std::move(context), std::move(socket), ssl);
  if (!link->Attach()) return nullptr;
  if (role == TlsRole::kServer) {
    library.SSL_set_accept_state(ssl);
  } else {
    library.SSL_set_connect_state(ssl);
    // No certificate can stand in for the key: there is nothing to verify one by.
    library.SSL_set_verify(ssl, kVerifyPeer, nullptr);
  }
  const int at_once = 1;
  static_cast<void>(
      setsockopt(link->socket_.fd(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once)));
  return link;
}

bool TlsLink::Attach() {
  const OpenSsl& library = context_->library();
  Bio* const read = library.BIO_new_socket(socket_.fd(), 0);
  Bio* const write = library.BIO_new_socket(socket_.fd(), 0);
  Bio* const buffer = library.BIO_new(library.BIO_f_buffer());
  const bool have_all = read != nullptr && write != nullptr && buffer != nullptr &&
                        library.BIO_int_ctrl(buffer, kSetBufferSize, kWriteBufferBytes, 1) == 1;
  if (!have_all) {
    for (Bio* each : {read, write, buffer}) library.BIO_free_all(each);
    return false;
  }
  written_ = library.BIO_push(buffer, write);
  library.SSL_set_bio(ssl_, read, written_);
  return true;
}

int TlsLink::Listen(const std::string& host, TlsKey key, std::shared_ptr<Listener>* listener) {
  auto context = TlsContext::Create(std::move(key));
  if (context == nullptr) return ENOTSUP;
  Descriptor socket;
  if (const int error = ListenOn(host, &socket); error != 0) return error;
  *listener = std::make_shared<Listener>(std::move(socket), [context](Descriptor accepted) {
    return Create(context, std::move(accepted), TlsRole::kServer);
  });
  return 0;
}

int TlsLink::Connect(const SocketAddress& address, TlsKey key, int timeout_milliseconds,
                     const ThreadPool& pool, std::shared_ptr<Link>* link) {
  auto context = TlsContext::Create(std::move(key));
  if (context == nullptr) return ENOTSUP;
  const OpenSsl& library = context->library();
  Descriptor socket;
  const Deadline deadline(timeout_milliseconds);
  if (const int error = ConnectTo(address, deadline, pool, &socket); error != 0) return error;
  auto made = Create(std::move(context), std::move(socket), TlsRole::kClient);
  if (made == nullptr) return ENOMEM;
  const auto handshake = [&] { return library.SSL_do_handshake(made->ssl_); };
  if (const int error = made->Carry(handshake, deadline, pool); error != 0) return error;
  // OpenSSL counts a handshake by pre-shared key as the resumption of a session.
  if (library.SSL_session_reused(made->ssl_) != 1) return EPROTO;
  *link = std::move(made);
  return 0;
}

int64_t TlsLink::Read(uint8_t* into, size_t bytes, int wait_milliseconds) {
  const int limit = static_cast<int>(std::min<size_t>(bytes, INT_MAX));
  const auto read = [&] { return context_->library().SSL_read(ssl_, into, limit); };
  const Deadline deadline(wait_milliseconds);
  while (!end_) {
    const Attempt attempt = Try(read);
    end_ = attempt.end;
    if (attempt.bytes > 0) return static_cast<int64_t>(attempt.bytes);
    if (end_) break;
    // A part of a record wakes this, too: the rest of it is waited for.
    pollfd waiting = {socket_.fd(), attempt.wait_for, 0};
    if (deadline.passed() || poll(&waiting, 1, wait_milliseconds) == 0) return -EAGAIN;
  }
  return *end_;
}

int TlsLink::Write(const uint8_t* from, size_t bytes, const ThreadPool& pool) {
  if (bytes > INT_MAX) return EINVAL;
  // All or nothing: what could not be written yet is tried again with the same bytes.
  const auto write = [&] {
    return context_->library().SSL_write(ssl_, from, static_cast<int>(bytes));
  };
  return Carry(write, Deadline::Never(), pool);
}

int TlsLink::End(const ThreadPool& pool) {
  const auto end = [&] {
    const int told = context_->library().SSL_shutdown(ssl_);
    return told == 0 ? 1 : told;  // the other end may still write
  };
  return Carry(end, Deadline::Never(), pool);
}

template <typename Call>
int TlsLink::Carry(const Call& call, const Deadline& deadline, const ThreadPool& pool) {
  for (bool called = false;;) {
    const Attempt attempt = called ? TryFlush() : Try(call);
    if (attempt.bytes > 0) {
      if (called) return 0;
      called = true;
      continue;
    }
    if (attempt.end) return *attempt.end == 0 ? EPIPE : static_cast<int>(-*attempt.end);
    const int error = Await(socket_.fd(), attempt.wait_for, deadline, pool);
    if (error != 0) return error;
  }
}

TlsLink::Attempt TlsLink::TryFlush() {
  const OpenSsl& library = context_->library();
  const std::lock_guard<std::mutex> lock(mutex_);
  library.ERR_clear_error();
  errno = 0;
  if (library.BIO_ctrl(written_, kFlush, 0, nullptr) == 1) return {1, 0, std::nullopt};
  if (library.BIO_test_flags(written_, kShouldRetry) != 0) return {0, POLLOUT, std::nullopt};
  return {0, 0, errno == 0 ? -ECONNRESET : -errno};
}

template <typename Call>
TlsLink::Attempt TlsLink::Try(const Call& call) {
  const OpenSsl& library = context_->library();
  const std::lock_guard<std::mutex> lock(mutex_);
  library.ERR_clear_error();
  errno = 0;
  const int done = call();
  if (done > 0) return {static_cast<size_t>(done), 0, std::nullopt};
  const int system_error = errno;
  switch (library.SSL_get_error(ssl_, done)) {
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

void TlsLink::Shutdown() { static_cast<void>(shutdown(socket_.fd(), SHUT_RDWR)); }

}  // namespace lvmsync
