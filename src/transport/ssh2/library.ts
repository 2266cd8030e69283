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
export async function hasNativeCiphers(): Promise<boolean> {
  const { default: internals } = await import('ssh2/lib/protocol/crypto.js');
  return internals.bindingAvailable;
}
