import { sealedInPlaceOf } from './sealing-cipher.js';

/**
 * The `ssh2` package, loaded only when a connection is wanted: it takes a while. Its insides are
 * used, too, so that package.json names one version of it.
 */
export type Ssh2 = typeof import('ssh2');

let loading: Promise<Ssh2> | undefined;

export function loadSsh2(): Promise<Ssh2> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Ssh2> {
  const ciphers = await loadCiphers();
  // First: whoever creates ciphers keeps the function that is there when it is loaded itself.
  ciphers.createCipher = sealedInPlaceOf(ciphers.createCipher);
  const { default: ssh2 } = await import('ssh2');
  return ssh2;
}

/**
 * Whether ssh2 runs its ciphers in its compiled addon. Where install scripts were disabled or
 * there was no compiler it does not, works all the same, and takes twice the CPU.
 */
export async function hasNativeCiphers(): Promise<boolean> {
  return (await loadCiphers()).bindingAvailable;
}

async function loadCiphers() {
  const { default: ciphers } = await import('ssh2/lib/protocol/crypto.js');
  return ciphers;
}
