/** What is reached for inside of ssh2. */
import type { Client } from 'ssh2';
import type { Protocol } from 'ssh2/lib/protocol/crypto.js';

interface ClientInsides {
  _protocol: Protocol;
  _remoteVer: string | undefined;
}

/** There once `client` has begun to connect. */
export function protocolOf(client: Client): Protocol {
  return (client as unknown as ClientInsides)._protocol;
}

/** How a server has named itself, such as `OpenSSH_9.2p1`: RFC 4253, section 4.2. */
export function softwareOf(client: Client): string {
  return (client as unknown as ClientInsides)._remoteVer ?? '';
}
