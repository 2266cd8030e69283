#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "file.h"
#include "link.h"
#include "listener.h"
#include "openssl.h"
#include "sockets.h"
#include "thread_pool.h"

namespace lvmsync {

constexpr size_t kPskBytes = 32;

// Who takes the key for TLS 1.3 under a name, and nothing else: there is no certificate.
struct TlsKey {
  std::string identity;
  std::array<uint8_t, kPskBytes> psk;
};

// What the links of one listener, or of one end that connects, have in common.
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

enum class TlsRole { kServer, kClient };

class TlsLink : public Link {
 public:
  // nullptr when there is no memory. `socket` does not block. The first read of a server carries
  // out the handshake.
  static std::shared_ptr<TlsLink> Create(std::shared_ptr<const TlsContext> context,
                                         Descriptor socket, TlsRole role);
  // Listens on a free port of a numeric address. Returns 0 and sets `listener`, or returns an
  // errno.
  static int Listen(const std::string& host, TlsKey key, std::shared_ptr<Listener>* listener);
  // Connects, and proves that the other end has the key. Returns 0 and sets `link`, or returns an
  // errno: EPROTO when the other end does not have it.
  static int Connect(const SocketAddress& address, TlsKey key, int timeout_milliseconds,
                     const ThreadPool& pool, std::shared_ptr<Link>* link);
  TlsLink(std::shared_ptr<const TlsContext> context, Descriptor socket, Ssl* ssl)
      : context_(std::move(context)), socket_(std::move(socket)), ssl_(ssl) {}
  ~TlsLink() override { context_->library().SSL_free(ssl_); }
  TlsLink(const TlsLink&) = delete;
  TlsLink& operator=(const TlsLink&) = delete;

  // What ended it once is what every later read answers.
  int64_t Read(uint8_t* into, size_t bytes, int wait_milliseconds) override;
  int Write(const uint8_t* from, size_t bytes, const ThreadPool& pool) override;
  int End(const ThreadPool& pool) override;
  void Shutdown() override;

 private:
  // What one try brought: bytes, or nothing and what to wait for, or an end.
  struct Attempt {
    size_t bytes;
    short wait_for;
    std::optional<int64_t> end;
  };
  // Takes the socket for reading, and a buffer before it for writing. False without memory.
  bool Attach();
  // One call of OpenSSL's.
  template <typename Call>
  Attempt Try(const Call& call);
  // Lets go of what waits in the buffer.
  Attempt TryFlush();
  // Tries until it is done, its bytes included. Returns 0 or an errno.
  template <typename Call>
  int Carry(const Call& call, const Deadline& deadline, const ThreadPool& pool);

  const std::shared_ptr<const TlsContext> context_;
  const Descriptor socket_;
  std::mutex mutex_;  // of ssl_, which is for one thread at a time
  Ssl* const ssl_;
  Bio* written_ = nullptr;      // of ssl_, too
  std::optional<int64_t> end_;  // for the reading thread
};

}  // namespace lvmsync
