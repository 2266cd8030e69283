#include "ssh_sealer.h"

#include <sys/random.h>

#include <algorithm>

namespace lvmsync {

namespace {

constexpr size_t kBlockBytes = 16;
constexpr size_t kLengthBytes = 4;
constexpr size_t kLeastPaddingBytes = 4;
constexpr size_t kMostPaddingBytes = kLeastPaddingBytes + kBlockBytes - 1;

// The length of the padding; then of the message its type, the channel and the length of its data.
constexpr size_t kHeaderBytes = 1 + 1 + 4 + 4;
constexpr uint8_t kChannelDataMessage = 94;

void PutUint32(uint32_t value, uint8_t* into) {
  for (int byte = 0; byte < 4; ++byte) into[byte] = static_cast<uint8_t>(value >> (24 - 8 * byte));
}

// RFC 4253, 6: whole blocks, which the length before them is no part of where it is not encrypted.
size_t PaddingBytes(size_t data_bytes) {
  const size_t last_block = (kHeaderBytes + data_bytes + kLeastPaddingBytes) % kBlockBytes;
  return kLeastPaddingBytes + (kBlockBytes - last_block) % kBlockBytes;
}

size_t PacketBytes(size_t data_bytes) {
  return kLengthBytes + kHeaderBytes + data_bytes + PaddingBytes(data_bytes) + SshSealer::kTagBytes;
}

}  // namespace

size_t SealedBytes(const ChannelData& data) {
  const size_t last_bytes = data.bytes % data.packet_bytes;
  return data.bytes / data.packet_bytes * PacketBytes(data.packet_bytes) +
         (last_bytes > 0 ? PacketBytes(last_bytes) : 0);
}

std::shared_ptr<SshSealer> SshSealer::Create(const uint8_t* key, size_t key_bytes,
                                             const uint8_t* iv) {
  const OpenSsl* openssl = FindOpenSsl();
  if (openssl == nullptr) return nullptr;
  auto made = std::make_shared<SshSealer>(*openssl, iv);
  return made->cipher_.SetKey(key, key_bytes) ? made : nullptr;
}

SshSealer::SshSealer(const OpenSsl& library, const uint8_t* iv)
    : cipher_(library, AesGcm::Use::kSeal) {
  std::copy_n(iv, kIvBytes, iv_.begin());
}

bool SshSealer::SealPacket(uint8_t* packet, size_t bytes) {
  uint8_t* const encrypted = packet + kLengthBytes;
  const size_t encrypted_bytes = bytes - kLengthBytes - kTagBytes;
  return Begin(packet) && cipher_.Crypt(encrypted, encrypted_bytes, encrypted) &&
         End(encrypted + encrypted_bytes);
}

bool SshSealer::SealData(const ChannelData& data, uint8_t* into) {
  std::array<uint8_t, kMostPaddingBytes> padding;
  if (getrandom(padding.data(), padding.size(), 0) != static_cast<ssize_t>(padding.size())) {
    return false;
  }
  for (size_t at = 0; at < data.bytes;) {
    const size_t data_bytes = std::min<size_t>(data.bytes - at, data.packet_bytes);
    const size_t padding_bytes = PaddingBytes(data_bytes);
    PutUint32(static_cast<uint32_t>(kHeaderBytes + data_bytes + padding_bytes), into);
    std::array<uint8_t, kHeaderBytes> header;
    header[0] = static_cast<uint8_t>(padding_bytes);
    header[1] = kChannelDataMessage;
    PutUint32(data.channel, &header[2]);
    PutUint32(static_cast<uint32_t>(data_bytes), &header[6]);
    if (!Begin(into)) return false;
    into += kLengthBytes;
    if (!cipher_.Crypt(header.data(), kHeaderBytes, into)) return false;
    into += kHeaderBytes;
    if (!cipher_.Crypt(data.data + at, data_bytes, into)) return false;
    into += data_bytes;
    if (!cipher_.Crypt(padding.data(), padding_bytes, into)) return false;
    into += padding_bytes;
    if (!End(into)) return false;
    into += kTagBytes;
    at += data_bytes;
  }
  return true;
}

bool SshSealer::Begin(const uint8_t* length) { return cipher_.Begin(iv_, length, kLengthBytes); }

bool SshSealer::End(uint8_t* tag) {
  if (!cipher_.WriteTag(tag)) return false;
  // RFC 5647, 7.1: the last 8 bytes of the IV count the packets.
  for (size_t byte = kIvBytes; byte > kIvBytes - 8 && ++iv_[byte - 1] == 0; --byte) {
  }
  return true;
}

}  // namespace lvmsync
