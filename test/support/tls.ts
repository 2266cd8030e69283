/** Links over TLS through the native engine, both ends in this process. */
import assert from 'node:assert/strict';
import { after } from 'node:test';
import type { EngineLink, TlsListening } from '#lvmsync/block/engine.js';
import { loadEngine } from '#lvmsync/block/engines.js';
import { IDENTITY } from '#lvmsync/transport/tls-link.js';

export const TLS_HOST = '127.0.0.1';
export const PSK = '7'.repeat(64);
export const TLS_KEY = { identity: IDENTITY, psk: Buffer.from(PSK, 'hex') };

const { engine } = loadEngine('native');

const listeners = new Set<TlsListening>();
after(() => {
  for (const listener of listeners) listener.close();
});

/** Until all tests of the file are over, or it is closed. */
export function listenTls(identity = IDENTITY): TlsListening {
  const listening = engine.listenTls?.(TLS_HOST, { ...TLS_KEY, identity });
  assert.ok(listening !== undefined, 'this Node brings OpenSSL along');
  listeners.add(listening);
  return listening;
}

export async function acceptTls(listening: TlsListening): Promise<EngineLink> {
  const link = await listening.accept();
  assert.ok(link !== undefined);
  return link;
}
