import { createRequire } from 'node:module';

/** The `ssh2` package, loaded only when a connection is wanted: it takes a while. */
export type Ssh2 = typeof import('ssh2');

export async function loadSsh2(): Promise<Ssh2> {
  const { default: ssh2 } = await import('ssh2');
  return ssh2;
}

/**
 * Whether ssh2 runs its ciphers in its compiled addon. Where install scripts were disabled or
 * there was no compiler it does not, works all the same, and takes twice the CPU.
 */
export function hasNativeCiphers(): boolean {
  const internals: unknown = createRequire(import.meta.url)('ssh2/lib/protocol/crypto.js');
  return (
    typeof internals === 'object' &&
    internals !== null &&
    'bindingAvailable' in internals &&
    internals.bindingAvailable === true
  );
}
