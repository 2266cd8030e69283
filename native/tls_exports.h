#pragma once

#include <napi.h>

namespace lvmsync {

// The functions of the addon for TLS; none where Node brings no OpenSSL along.
void ExportTls(Napi::Env env, Napi::Object exports);

}  // namespace lvmsync
