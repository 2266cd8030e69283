#pragma once

#include <cstddef>
#include <cstdint>

namespace lvmsync {

constexpr size_t kSha256Bytes = 32;

// Writes the SHA-256 of `bytes` bytes to `digest`. The code is OpenSSL's, which Node brings along.
using Sha256 = unsigned char* (*)(const unsigned char* data, size_t bytes, unsigned char* digest);

// nullptr where Node was built without it.
Sha256 FindSha256();

}  // namespace lvmsync
