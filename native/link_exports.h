#pragma once

#include <napi.h>

namespace lvmsync {

// The functions of the addon for links, whatever carries them, and for those over unix sockets.
void ExportLinks(Napi::Env env, Napi::Object exports);

}  // namespace lvmsync
