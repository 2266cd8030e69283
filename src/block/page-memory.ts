import { readFileSync } from 'node:fs';

declare const WebAssembly: {
  Memory: new (descriptor: { initial: number }) => { readonly buffer: ArrayBuffer };
};

const WASM_PAGE_BYTES = 65536;
const AT_PAGESZ = 6n; // linux/auxvec.h

/** Page-aligned, zeroed memory. Node has no call for it; the memory of WebAssembly is both. */
export function allocatePages(bytes: number): Buffer {
  const initial = Math.max(1, Math.ceil(bytes / WASM_PAGE_BYTES));
  return Buffer.from(new WebAssembly.Memory({ initial }).buffer, 0, bytes);
}

/** The kernel's page size in bytes, from the auxiliary vector (pairs of words, proc(5)). */
export function pageSize(): number {
  const words = new BigUint64Array(Uint8Array.from(readFileSync('/proc/self/auxv')).buffer);
  for (let index = 0; index + 1 < words.length; index += 2) {
    if (words[index] === AT_PAGESZ) return Number(words[index + 1]);
  }
  return WASM_PAGE_BYTES; // the largest page in use: coarser than needed is still correct
}
