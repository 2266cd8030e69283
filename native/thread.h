#pragma once

#include <pthread.h>

namespace lvmsync {

// Starts main(argument) on a thread that gets no signals: those are for Node's main thread. Returns
// 0 or an errno.
int StartThread(void* (*main)(void*), void* argument, pthread_t* thread);

}  // namespace lvmsync
