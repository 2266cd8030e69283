#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "aes_gcm.h"
#include "openssl.h"

namespace lvmsync {

// What goes into CHANNEL_DATA messages (RFC 4254, 5.2), each of at most `packet_bytes`.
struct ChannelData {
  uint32_t channel;
  uint32_t packet_bytes;
  const uint8_t* data;
  size_t bytes;
};

// How long the packets of all of it are together.
size_t SealedBytes(const ChannelData& data);

// Seals the packets of one direction of an SSH connection with AES-GCM, in the order of the calls:
// RFC 5647, as aes128-gcm@openssh.com and aes256-gcm@openssh.com have it. For one thread.
class SshSealer {
 public:
  static constexpr size_t kIvBytes = AesGcm::kNonceBytes;
  static constexpr size_t kTagBytes = AesGcm::kTagBytes;

  // nullptr when OpenSSL is not there, or refuses; keys are of 16 or 32 bytes.
  static std::shared_ptr<SshSealer> Create(const uint8_t* key, size_t key_bytes, const uint8_t* iv);
  SshSealer(const OpenSsl& library, const uint8_t* iv);
  SshSealer(const SshSealer&) = delete;
  SshSealer& operator=(const SshSealer&) = delete;

  // `packet` is one as RFC 4253, 6 has it, with its padding, and room for the tag behind it.
  // Returns false when OpenSSL refuses; nothing can be sealed any more then.
  bool SealPacket(uint8_t* packet, size_t bytes);

  // Writes SealedBytes(data) to `into`. Returns false as SealPacket does.
  bool SealData(const ChannelData& data, uint8_t* into);

 private:
  // Begins a packet, of which the length stands at `length`.
  bool Begin(const uint8_t* length);
  bool End(uint8_t* tag);

  AesGcm cipher_;
  AesGcm::Nonce iv_;
};

}  // namespace lvmsync
