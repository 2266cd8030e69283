#pragma once

#include <optional>

#include "batch.h"

namespace lvmsync {

// Carries out one request of a batch and returns when it is done; for pool threads.
std::optional<Failure> Transfer(const Batch& batch, const Request& request);

}  // namespace lvmsync
