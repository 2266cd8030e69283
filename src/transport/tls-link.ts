/**
 * Links over TLS 1.3 with a pre-shared key, in place of SSH's encryption: the key comes through the
 * SSH channel, so that SSH's authentication of both ends holds here too.
 */
import { once } from 'node:events';
import type { TLSSocket, TlsOptions } from 'node:tls';
import { reasonOf } from '../block/errno.js';
import { LvmsyncError } from '../errors.js';
import { type Link, socketLink } from './link.js';

export const IDENTITY = 'lvmsync';

/** The cipher suite is the one that Node's kind of pre-shared key is for (SHA-256). */
const ONLY_PSK = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
} as const;

/** For a server that accepts the key and nothing else: it has no certificate. */
export function pskServerOptions(psk: string): TlsOptions {
  return {
    ...ONLY_PSK,
    allowHalfOpen: true,
    pskCallback: (_socket, identity) => (identity === IDENTITY ? Buffer.from(psk, 'hex') : null),
  };
}

export interface TlsAddress {
  host: string;
  port: number;
  /** In hexadecimal. */
  psk: string;
}

/** @throws LvmsyncError CONNECT_FAILED, also when the other end does not have the key */
export async function connectTlsLink(
  { host, port, psk }: TlsAddress,
  timeoutMs: number,
): Promise<Link> {
  const { connect } = await import('node:tls'); // not before it is wanted
  const socket = connect({
    ...ONLY_PSK,
    host,
    port,
    ca: [], // no certificate can stand in for the key
    pskCallback: () => ({ identity: IDENTITY, psk: Buffer.from(psk, 'hex') }),
  });
  const timer = setTimeout(
    () => socket.destroy(new Error(`no answer within ${timeoutMs / 1000} s`)),
    timeoutMs,
  );
  try {
    await once(socket, 'secureConnect');
    assertPsk(socket);
  } catch (cause) {
    socket.destroy();
    const reason = reasonOf(cause).words;
    throw new LvmsyncError('CONNECT_FAILED', `${host} port ${port}: ${reason.trim()}`, {
      cause,
      hint: 'let the port through the firewall, or leave --data-channel away',
    });
  } finally {
    clearTimeout(timer);
  }
  socket.setNoDelay(true);
  return socketLink(socket);
}

/** OpenSSL counts a handshake by pre-shared key as the resumption of a session. */
function assertPsk(socket: TLSSocket): void {
  if (!socket.isSessionReused()) throw new Error('the other end did not prove that it has the key');
}
