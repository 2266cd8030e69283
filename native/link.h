#pragma once

#include <cstddef>
#include <cstdint>

#include "input.h"
#include "thread_pool.h"

namespace lvmsync {

// A connection. One thread may read and one may write at a time.
class Link : public Input {
 public:
  // Writes all of it, however long that takes. Returns 0 or an errno.
  virtual int Write(const uint8_t* from, size_t bytes, const ThreadPool& pool) = 0;

  // Tells the other end that no more will come. Returns 0 or an errno.
  virtual int End(const ThreadPool& pool) = 0;

  // Ends whatever reads or writes, or will.
  virtual void Shutdown() = 0;
};

}  // namespace lvmsync
