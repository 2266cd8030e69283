#pragma once

#include <sys/types.h>

namespace lvmsync {

// Whether a block device is a thin volume: what has been discarded of one reads as zeroes, which
// other devices may promise and not keep.
bool IsThinVolume(dev_t device);

}  // namespace lvmsync
