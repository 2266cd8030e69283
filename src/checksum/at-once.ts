/** The checksums that an engine has for what is short, beside those that are written here. */
export interface ChecksumsAtOnce {
  /** As `crc32c` in crc32c.ts. */
  crc32c(bytes: Uint8Array, seed: number): number;
  /** 32 bytes. Missing where the engine has none. */
  sha256?: ((bytes: Uint8Array) => Buffer) | undefined;
}

let ofEngine: ChecksumsAtOnce | undefined;

/** Those of the engine, from when it is loaded; what is written here has to do before. */
export function checksumsAtOnce(): ChecksumsAtOnce | undefined {
  return ofEngine;
}

/**
 * From here on, for the whole process. A small transfer is over sooner than the tables of CRC-32C are
 * made and `node:crypto` is loaded.
 */
export function useChecksumsOf(engine: ChecksumsAtOnce): void {
  ofEngine = engine;
}
