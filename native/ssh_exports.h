#pragma once

#include <napi.h>

namespace lvmsync {

// The functions of the addon for SSH; none where Node brings no OpenSSL along.
void ExportSsh(Napi::Env env, Napi::Object exports);

}  // namespace lvmsync
