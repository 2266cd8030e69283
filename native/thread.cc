#include "thread.h"

#include <signal.h>

namespace lvmsync {

int StartThread(void* (*main)(void*), void* argument, pthread_t* thread) {
  // A new thread inherits the mask.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const int error = pthread_create(thread, nullptr, main, argument);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (error == 0) pthread_setname_np(*thread, "lvmsync-io");
  return error;
}

}  // namespace lvmsync
