/*
 * On a page fault Linux maps the pages around it too, 64 KiB in all, if a file's pages are in
 * memory. User-Mode Linux 6.1 does so in its own page tables only: to the process on the host it
 * shows just the page of the fault, and each of the others costs a fault of its own later. Here its
 * flush_tlb_page(), which shows that page, is replaced by one that shows what is mapped around it.
 * `node -e 0` in a guest has 2,100 faults instead of 4,400.
 *
 * Debian's linux.uml is stripped. Once the guest is up, guest-init leaves the addresses of the two
 * functions that this takes (/proc/kallsyms) in the file that LVMSYNC_KERNEL_SYMBOLS names, unless
 * the kernel is another one.
 */
#include "fault-around.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096UL
#define AROUND_BYTES 65536UL /* mm/memory.c, fault_around_bytes */

/* The head of struct vm_area_struct (include/linux/mm_types.h). */
struct vma {
  unsigned long start, end;
};

static void (*flush_range)(struct vma *vma, unsigned long start, unsigned long end);

static void flush_around(struct vma *vma, unsigned long address) {
  unsigned long start = address & ~(AROUND_BYTES - 1);
  unsigned long end = start + AROUND_BYTES;
  flush_range(vma, start > vma->start ? start : vma->start, end < vma->end ? end : vma->end);
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
  uintptr_t page = 0, range = 0, address;
  char name[64];
  while (fscanf(file, "%lx %*c %63s", &address, name) == 2) {
    if (strcmp(name, "flush_tlb_page") == 0) page = address;
    if (strcmp(name, "flush_tlb_range") == 0) range = address;
  }
  fclose(file);
  if (!page || !range) return;
  flush_range = (void (*)(struct vma *, unsigned long, unsigned long))range;
  if (redirect(page, flush_around) < 0) abort();
}
