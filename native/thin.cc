#include "thin.h"

#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <sys/ioctl.h>
#include <sys/sysmacros.h>

#include <cstring>

#include "file.h"

namespace lvmsync {

namespace {

// The answer to DM_TABLE_STATUS: its header, the one target that a thin volume consists of, and
// room for that target's arguments.
struct TableAnswer {
  dm_ioctl header;
  dm_target_spec target;
  char arguments[1024];
};

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
  TableAnswer answer = {};
  answer.header.version[0] = DM_VERSION_MAJOR;
  answer.header.data_size = sizeof(answer);
  answer.header.data_start = offsetof(TableAnswer, target);
  answer.header.flags = DM_STATUS_TABLE_FLAG;
  answer.header.dev = EncodeDevice(device);
  // ENXIO for a device that is not device-mapper's.
  if (ioctl(control.fd(), DM_TABLE_STATUS, &answer) != 0) return false;
  return (answer.header.flags & DM_BUFFER_FULL_FLAG) == 0 && answer.header.target_count == 1 &&
         std::strcmp(answer.target.target_type, "thin") == 0;
}

}  // namespace lvmsync
