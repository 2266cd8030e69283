#include "tls_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace lvmsync {

namespace {

// For one system call, while they are in a cache of the processor's.
constexpr size_t kRecordsAtOnce = 16;
// And one that tells of new keys.
constexpr size_t kSealedBytes = (kRecordsAtOnce + 1) * kSealedRecordBytes;
constexpr size_t kReceivedBytes = kRecordsAtOnce * kSealedRecordBytes;
static_assert(kReceivedBytes >= kMostRecordBytes);

constexpr uint8_t kWarning = 1;

}  // namespace

std::shared_ptr<TlsLink> TlsLink::Create(std::shared_ptr<const TlsContext> context,
                                         Descriptor socket, TlsRole role) {
  auto handshake = TlsHandshake::Create(std::move(context), socket.fd(), role);
  if (handshake == nullptr) return nullptr;
  const int at_once = 1;
  static_cast<void>(setsockopt(socket.fd(), IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof(at_once)));
  return std::make_shared<TlsLink>(std::move(socket), std::move(handshake));
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
  Descriptor socket;
  const Deadline deadline(timeout_milliseconds);
  if (const int error = ConnectTo(address, deadline, pool, &socket); error != 0) return error;
  auto made = Create(std::move(context), std::move(socket), TlsRole::kClient);
  if (made == nullptr) return ENOMEM;
  if (const int error = made->ShakeHands(deadline, pool); error != 0) return error;
  *link = std::move(made);
  return 0;
}

TlsHandshake::Step TlsLink::TryHandshake() {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (handshake_ == nullptr) return {true, 0, 0};
  const TlsHandshake::Step step = handshake_->Try();
  if (!step.done) return step;
  const OpenSsl& openssl = handshake_->library();
  auto seal = RecordKeys::Create(openssl, handshake_->own_secret(), AesGcm::Use::kSeal);
  auto open = RecordKeys::Create(openssl, handshake_->peer_secret(), AesGcm::Use::kOpen);
  if (seal == nullptr || open == nullptr) return {false, 0, EPROTO};
  sealer_.emplace(std::move(seal));
  opener_.emplace(std::move(open));
  handshake_.reset();
  return step;
}

int TlsLink::ShakeHands(const Deadline& deadline, const ThreadPool& pool) {
  for (;;) {
    const TlsHandshake::Step step = TryHandshake();
    if (step.done || step.error != 0) return step.error;
    const int error = Await(socket_.fd(), step.wait_for, deadline, pool);
    if (error != 0) return error;
  }
}

int64_t TlsLink::Read(uint8_t* into, size_t bytes, int wait_milliseconds) {
  const Deadline deadline(wait_milliseconds);
  while (!end_) {
    const TlsHandshake::Step step = TryHandshake();
    if (step.done) {
      if (const size_t taken = Take(into, bytes); taken > 0) return static_cast<int64_t>(taken);
      if (end_ || Receive()) continue;
    } else if (step.error != 0) {
      end_ = -step.error;
      continue;
    }
    // A part of a record wakes this, too: the rest of it is waited for.
    pollfd waiting = {socket_.fd(), step.done ? short{POLLIN} : step.wait_for, 0};
    if (deadline.passed() || poll(&waiting, 1, wait_milliseconds) == 0) return -EAGAIN;
  }
  return *end_;
}

size_t TlsLink::Take(uint8_t* into, size_t bytes) {
  size_t filled = 0;
  while (filled < bytes) {
    const size_t left = std::min(opened_.bytes, bytes - filled);
    if (left > 0) {
      std::memcpy(into + filled, opened_.data, left);
      opened_ = {opened_.data + left, opened_.bytes - left};
      filled += left;
      continue;
    }
    size_t taken = 0;
    if (!TakeRecord(into + filled, bytes - filled, &taken)) break;
    filled += taken;
  }
  return filled;
}

bool TlsLink::TakeRecord(uint8_t* into, size_t bytes, size_t* taken) {
  using What = RecordOpener::Opened::What;
  const auto record_bytes = RecordOpener::RecordBytes(unopened_.data, unopened_.bytes);
  if (!record_bytes) end_ = -EPROTO;
  if (record_bytes.value_or(0) == 0) return false;
  uint8_t* const record = unopened_.data;
  unopened_ = {record + *record_bytes, unopened_.bytes - *record_bytes};
  const bool fits = RecordOpener::ContentRoom(*record_bytes) <= bytes;
  uint8_t* const content = fits ? into : record + kRecordHeaderBytes;
  const auto opened = opener_->Open(record, *record_bytes, content);
  if (opened.what == What::kBroken) end_ = -EPROTO;
  if (opened.what == What::kEnd) end_ = 0;
  if (opened.what == What::kKeyUpdateWanted) key_update_wanted_ = true;
  if (fits) {
    *taken = opened.bytes;
  } else {
    opened_ = {content, opened.bytes};
  }
  return !end_;
}

bool TlsLink::Receive() {
  received_.resize(kReceivedBytes);
  if (unopened_.bytes > 0) std::memmove(received_.data(), unopened_.data, unopened_.bytes);
  unopened_.data = received_.data();
  const ssize_t got =
      recv(socket_.fd(), unopened_.data + unopened_.bytes, received_.size() - unopened_.bytes, 0);
  if (got > 0) unopened_.bytes += static_cast<size_t>(got);
  if (got == 0) end_ = -EPROTO;  // cut without an end
  if (got < 0 && errno != EAGAIN && errno != EINTR) end_ = -errno;
  return got > 0 || end_;
}

int TlsLink::Write(const uint8_t* from, size_t bytes, const ThreadPool& pool) {
  while (bytes > 0) {
    const size_t part = std::min(bytes, kRecordsAtOnce * kMostContentBytes);
    if (const int error = Send(ContentType::kData, from, part, pool); error != 0) return error;
    from += part;
    bytes -= part;
  }
  return 0;
}

int TlsLink::End(const ThreadPool& pool) {
  const std::array<uint8_t, 2> alert = {kWarning, kCloseNotify};
  return Send(ContentType::kAlert, alert.data(), alert.size(), pool);
}

int TlsLink::Send(ContentType type, const uint8_t* content, size_t bytes, const ThreadPool& pool) {
  if (const int error = ShakeHands(Deadline::Never(), pool); error != 0) return error;
  sealed_.resize(kSealedBytes);
  size_t key_update_bytes = 0;
  if (key_update_wanted_.exchange(false) || sealer_->is_worn()) {
    key_update_bytes = sealer_->SealKeyUpdate(sealed_.data());
    if (key_update_bytes == 0) return EPROTO;
  }
  const size_t sealed_bytes =
      sealer_->Seal(type, content, bytes, sealed_.data() + key_update_bytes);
  if (sealed_bytes == 0) return EPROTO;
  return SendAll(socket_.fd(), sealed_.data(), key_update_bytes + sealed_bytes, pool);
}

void TlsLink::Shutdown() { static_cast<void>(shutdown(socket_.fd(), SHUT_RDWR)); }

}  // namespace lvmsync
