#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "file.h"
#include "link.h"
#include "listener.h"
#include "sockets.h"
#include "thread_pool.h"
#include "tls_context.h"
#include "tls_handshake.h"
#include "tls_records.h"

namespace lvmsync {

class TlsLink : public Link {
 public:
  // nullptr when there is no memory. `socket` does not block. The first call of a server's carries
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
  TlsLink(Descriptor socket, std::unique_ptr<TlsHandshake> handshake)
      : socket_(std::move(socket)), handshake_(std::move(handshake)) {}
  TlsLink(const TlsLink&) = delete;
  TlsLink& operator=(const TlsLink&) = delete;

  // What ended it once is what every later read answers.
  int64_t Read(uint8_t* into, size_t bytes, int wait_milliseconds) override;
  int Write(const uint8_t* from, size_t bytes, const ThreadPool& pool) override;
  int End(const ThreadPool& pool) override;
  void Shutdown() override;

 private:
  // A part of what has been received.
  struct Span {
    uint8_t* data = nullptr;
    size_t bytes = 0;
  };

  // One step of the handshake, unless it is done.
  TlsHandshake::Step TryHandshake();
  int ShakeHands(const Deadline& deadline, const ThreadPool& pool);
  int Send(ContentType type, const uint8_t* content, size_t bytes, const ThreadPool& pool);

  // Gives what has been received, as much as there is room for.
  size_t Take(uint8_t* into, size_t bytes);
  // Opens the next record that is there as a whole, into `into` if it fits, and tells how much of
  // it is there. False when there is none, or `end_` is set.
  bool TakeRecord(uint8_t* into, size_t bytes, size_t* taken);
  // False when there is nothing to receive yet.
  bool Receive();

  const Descriptor socket_;

  std::mutex mutex_;                         // of the handshake, which both threads may carry out
  std::unique_ptr<TlsHandshake> handshake_;  // until it is done

  // For the writing thread.
  std::optional<RecordSealer> sealer_;
  std::vector<uint8_t> sealed_;

  // For the reading thread.
  std::optional<RecordOpener> opener_;
  std::vector<uint8_t> received_;
  Span unopened_;  // of received_
  Span opened_;    // of received_: what there was no room for
  std::optional<int64_t> end_;

  std::atomic<bool> key_update_wanted_ = false;
};

}  // namespace lvmsync
