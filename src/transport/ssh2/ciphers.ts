/** What encrypts a connection: the engine where it can, ssh2's own ciphers otherwise. */
import type { Duplex } from 'node:stream';
import type { Client } from 'ssh2';
import type { CreateCipher, Write } from 'ssh2/lib/protocol/crypto.js';
import type { Engine } from '../../block/engine.js';
import { protocolOf } from './internals.js';
import { reusePackets } from './packet-reuse.js';
import { sealingCipher } from './sealing-cipher.js';

interface Connection {
  createSshSealer: Engine['createSshSealer'] | undefined;
  socket: Duplex;
}

/** By what their ciphers are given to write with. */
const connections = new WeakMap<Write, Connection>();

/** From the first key exchange of `client` on, which has begun to connect, and read nothing yet. */
export function encryptWith(
  client: Client,
  { createSshSealer }: Pick<Engine, 'createSshSealer'>,
  socket: Duplex,
): void {
  connections.set(protocolOf(client)._onWrite, { createSshSealer, socket });
}

/**
 * `own`, but for the connections that were named: AES-GCM is the engine's there, and the packets of
 * any other cipher use their memory again, if `own` encrypts them where they are (`isInPlace`).
 */
export function replaceCiphers(own: CreateCipher, isInPlace: boolean): CreateCipher {
  return (config) => {
    const { onWrite, cipherInfo, cipherKey, cipherIV } = config.outbound;
    const connection = connections.get(onWrite);
    if (connection === undefined) return own(config);
    const sealer = /^aes-(128|256)-gcm$/.test(cipherInfo.sslName)
      ? connection.createSshSealer?.(cipherKey, cipherIV)
      : undefined;
    if (sealer !== undefined) return sealingCipher(sealer, config.outbound);
    return isInPlace ? reusePackets(own, config, connection.socket) : own(config);
  };
}
