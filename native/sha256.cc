#include "sha256.h"

#include <dlfcn.h>

namespace lvmsync {

Sha256 FindSha256() {
  static const auto found = reinterpret_cast<Sha256>(dlsym(RTLD_DEFAULT, "SHA256"));
  return found;
}

}  // namespace lvmsync
