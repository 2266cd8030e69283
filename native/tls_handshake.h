#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "openssl.h"
#include "tls_context.h"
#include "tls_records.h"

namespace lvmsync {

enum class TlsRole { kServer, kClient };

// OpenSSL's handshake over a socket that does not block. It reads nothing that comes after, and
// sends nothing: the records from there on are those of the secrets that it leaves.
class TlsHandshake {
 public:
  // What one try has come to: done, or what to wait for, or an errno.
  struct Step {
    bool done;
    short wait_for;
    int error;
  };

  // nullptr when there is no memory.
  static std::unique_ptr<TlsHandshake> Create(std::shared_ptr<const TlsContext> context, int fd,
                                              TlsRole role);
  // Of OpenSSL, for its keylog lines.
  static void TakeSecret(const Ssl* ssl, const char* line);

  TlsHandshake(std::shared_ptr<const TlsContext> context, Ssl* ssl, TlsRole role)
      : context_(std::move(context)), ssl_(ssl), role_(role) {}
  ~TlsHandshake() { context_->library().SSL_free(ssl_); }
  TlsHandshake(const TlsHandshake&) = delete;
  TlsHandshake& operator=(const TlsHandshake&) = delete;

  // EPROTO when the other end does not have the key.
  Step Try();

  // Once it is done.
  const OpenSsl& library() const { return context_->library(); }
  const TrafficSecret& own_secret() const {
    return role_ == TlsRole::kClient ? *client_ : *server_;
  }
  const TrafficSecret& peer_secret() const {
    return role_ == TlsRole::kClient ? *server_ : *client_;
  }

 private:
  bool Attach(int fd);

  const std::shared_ptr<const TlsContext> context_;
  Ssl* const ssl_;
  const TlsRole role_;
  std::optional<TrafficSecret> client_;
  std::optional<TrafficSecret> server_;
};

}  // namespace lvmsync
