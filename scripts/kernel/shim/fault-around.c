/*
 * A page fault costs much in User-Mode Linux: the process stops three times. There are fewer of
 * them where its flush_tlb_page(), which shows the process the page that was missing, shows it
 * more:
 *
 * - On a fault in a file that is in memory Linux maps the pages around it too, 64 KiB in all.
 * User-Mode Linux 6.1 does so in its own page tables only, and each of the pages costs a fault
 * later.
 * - In a process's own memory Linux maps one page. Here it maps those up to the next 64 KiB.
 *
 * `node -e 0` in a guest has 900 faults instead of 4,400.
 *
 * Debian's linux.uml is stripped. Once the guest is up, guest-init leaves the addresses of the
 * functions that this takes, and of what follows each (/proc/kallsyms), in the file that
 * LVMSYNC_KERNEL_SYMBOLS names, unless the kernel is another one.
 */
#include "fault-around.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define VM_WRITE 2UL /* include/linux/mm.h */
#define PAGE_BYTES 4096UL
#define AROUND_BYTES 65536UL /* mm/memory.c, fault_around_bytes */

/* struct vm_area_struct (include/linux/mm_types.h). */
struct vma {
  unsigned long start, end;
  void *mm;
  unsigned long page_prot, flags, shared[4], anon_vma_chain[2];
  void *anon_vma, *ops;
};

static void (*flush_range)(struct vma *vma, unsigned long start, unsigned long end);
static long (*populate)(struct vma *vma, unsigned long start, unsigned long end, int *locked);
static uintptr_t fault_start, fault_end;

static void flush_around(struct vma *vma, unsigned long address) {
  unsigned long start = address & ~(AROUND_BYTES - 1);
  unsigned long end = start + AROUND_BYTES;
  uintptr_t caller = (uintptr_t)__builtin_return_address(0);
  if (start < vma->start) start = vma->start;
  if (end > vma->end) end = vma->end;
  /* Others that call it may hold locks, and change page tables themselves. */
  unsigned long next = (address & ~(PAGE_BYTES - 1)) + PAGE_BYTES;
  if (!vma->ops && vma->flags & VM_WRITE && next < end && caller >= fault_start &&
      caller < fault_end)
    populate(vma, next, end, NULL);
  flush_range(vma, start, end);
}

/* Puts a jump to `target` where the function at `address` begins. */
static int redirect(uintptr_t address, void (*target)(struct vma *, unsigned long)) {
  /* movabs $target, %rax; jmp *%rax */
  unsigned char jump[] = {0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xe0};
  memcpy(jump + 2, &target, sizeof target);
  void *pages = (void *)(address & ~(PAGE_BYTES - 1));
  if (mprotect(pages, 2 * PAGE_BYTES, PROT_READ | PROT_WRITE | PROT_EXEC) < 0) return -1;
  memcpy((void *)address, jump, sizeof jump);
  return mprotect(pages, 2 * PAGE_BYTES, PROT_READ | PROT_EXEC);
}

void fault_around(void) {
  static unsigned calls;
  static int done;
  if (done || calls++ % 1024) return; /* a few times a second */
  const char *path = getenv("LVMSYNC_KERNEL_SYMBOLS");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) return;
  done = 1;
  uintptr_t page = 0, range = 0, fill = 0, address;
  char line[256], name[64];
  while (fgets(line, sizeof line, file)) {
    if (sscanf(line, "%lx %*c %63s", &address, name) != 2) continue;
    if (strcmp(name, "flush_tlb_page") == 0) page = address;
    if (strcmp(name, "flush_tlb_range") == 0) range = address;
    if (strcmp(name, "populate_vma_page_range") == 0) fill = address;
    if (fault_start && !fault_end) fault_end = address;
    if (strcmp(name, "handle_page_fault") == 0) fault_start = address;
  }
  fclose(file);
  if (!page || !range || !fill || !fault_end) return;
  populate = (long (*)(struct vma *, unsigned long, unsigned long, int *))fill;
  flush_range = (void (*)(struct vma *, unsigned long, unsigned long))range;
  if (redirect(page, flush_around) < 0) abort();
}
