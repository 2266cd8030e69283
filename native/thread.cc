#include "thread.h"

#include <sched.h>
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
  if (error != 0) return error;
  pthread_setname_np(*thread, "lvmsync-io");
  // Where there are more of these threads than processors, Node's main thread must not wait for
  // its turn among them: it has the next requests, and the connection. A refusal does no harm.
  const sched_param none = {};
  static_cast<void>(pthread_setschedparam(*thread, SCHED_BATCH, &none));
  return 0;
}

}  // namespace lvmsync
