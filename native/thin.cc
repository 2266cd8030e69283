#include "thin.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <array>
#include <cstdint>
#include <cstring>

#include "file.h"

namespace lvmsync {

namespace {

// The kernel's encoding of a device number (new_encode_dev in linux/kdev_t.h).
uint64_t EncodeDevice(dev_t device) {
  const uint64_t low = minor(device) & 0xffU;
  const uint64_t high = minor(device) & ~0xffU;
  return low | (static_cast<uint64_t>(major(device)) << 8U) | (high << 12U);
}

}  // namespace

bool IsThinVolume(dev_t device) {
  const Descriptor control(open("/dev/" DM_DIR "/" DM_CONTROL_NODE, O_RDWR | O_CLOEXEC));
  if (!control.valid()) return false;
  // The header, the one target that a thin volume consists of, and room for its arguments.
  std::array<uint64_t, 256> memory = {};
  auto* header = reinterpret_cast<dm_ioctl*>(memory.data());
  const auto* target = reinterpret_cast<const dm_target_spec*>(header + 1);
  header->version[0] = DM_VERSION_MAJOR;
  header->data_size = sizeof(memory);
  header->data_start = sizeof(*header);
  header->flags = DM_STATUS_TABLE_FLAG;
  header->dev = EncodeDevice(device);
  // ENXIO for a device that is not device-mapper's.
  if (ioctl(control.fd(), DM_TABLE_STATUS, header) != 0) return false;
  return (header->flags & DM_BUFFER_FULL_FLAG) == 0 && header->target_count == 1 &&
         std::strcmp(target->target_type, "thin") == 0;
}

}  // namespace lvmsync
