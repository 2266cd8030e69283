import type { Algorithms, CipherAlgorithm, ServerHostKeyAlgorithm } from 'ssh2';
import { LvmsyncError } from '../../errors.js';
import type { SshConfig } from './config.js';
import type { HostKeys } from './host-key.js';

/** What ssh2 implements and is safe; the fastest ciphers first, see `preferGcm`. */
const CIPHERS = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
] as const satisfies readonly CipherAlgorithm[];

const MACS = [
  'hmac-sha2-256-etm@openssh.com',
  'hmac-sha2-512-etm@openssh.com',
  'hmac-sha2-256',
  'hmac-sha2-512',
  'hmac-sha1-etm@openssh.com',
  'hmac-sha1',
] as const;

const KEX = [
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'ecdh-sha2-nistp521',
  'diffie-hellman-group-exchange-sha256',
  'diffie-hellman-group14-sha256',
  'diffie-hellman-group16-sha512',
  'diffie-hellman-group18-sha512',
] as const;

const HOST_KEYS = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'rsa-sha2-512',
  'rsa-sha2-256',
] as const satisfies readonly ServerHostKeyAlgorithm[];

/**
 * What to offer: the configuration's algorithms as far as ssh2 has them, AES-GCM before all other
 * ciphers because it costs a third of their time, and host keys of known types before others, so
 * that a server shows a key that can be checked.
 * @throws LvmsyncError TRANSPORT_UNSUPPORTED when the configuration allows none that ssh2 has
 */
export function chooseAlgorithms(config: SshConfig, known: HostKeys): Algorithms {
  return {
    cipher: allowed('Ciphers', config.ciphers, CIPHERS, 'ours'),
    hmac: allowed('MACs', config.macs, MACS, 'theirs'),
    kex: allowed('KexAlgorithms', config.kexAlgorithms, KEX, 'theirs'),
    serverHostKey: knownFirst(
      allowed('HostKeyAlgorithms', config.hostKeyAlgorithms, HOST_KEYS, 'theirs'),
      known,
    ),
    compress: ['none'],
  };
}

function allowed<Name extends string>(
  keyword: string,
  configured: readonly string[] | undefined,
  implemented: readonly Name[],
  order: 'ours' | 'theirs',
): Name[] {
  if (configured === undefined) return [...implemented];
  const ours = implemented.filter((name) => configured.includes(name));
  if (ours.length === 0) {
    throw new LvmsyncError(
      'TRANSPORT_UNSUPPORTED',
      `the built-in SSH has none of the ${keyword} that the SSH configuration allows`,
      { hint: `use -e ssh, or allow one of: ${implemented.join(' ')}` },
    );
  }
  if (order === 'theirs') ours.sort((a, b) => configured.indexOf(a) - configured.indexOf(b));
  return ours;
}

function knownFirst(
  algorithms: readonly ServerHostKeyAlgorithm[],
  known: HostKeys,
): ServerHostKeyAlgorithm[] {
  const entries = known.entries.length > 0 ? known.entries : known.bareEntries;
  const types = new Set(entries.filter(({ marker }) => marker === 'none').map((e) => e.keyType));
  const isKnown = (algorithm: string) =>
    types.has(algorithm.startsWith('rsa-sha2-') ? 'ssh-rsa' : algorithm);
  return [
    ...algorithms.filter((algorithm) => isKnown(algorithm)),
    ...algorithms.filter((algorithm) => !isKnown(algorithm)),
  ];
}
