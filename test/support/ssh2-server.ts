import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import ssh2, { type AuthContext, type ServerChannel } from 'ssh2';

/** A server on loopback that is not OpenSSH, and what a client needs to know it. */
export interface Ssh2Server {
  port: number;
  /** In the directory that it was given. */
  knownHostsFile: string;
  stop(): void;
}

/**
 * Starts ssh2's own server. Who may log in, and what becomes of a command, is for the test to say.
 *
 * @param directory where its known_hosts goes
 */
export async function startSsh2Server(
  directory: string,
  decide: (context: AuthContext) => void,
  run: (channel: ServerChannel) => void,
): Promise<Ssh2Server> {
  // Of its Ed25519 keys every few hundredth cannot be read.
  const keys = ssh2.utils.generateKeyPairSync('ecdsa', { bits: 256 });
  const server = new ssh2.Server({ hostKeys: [keys.private] }, (client) => {
    client.on('error', () => {});
    client.on('authentication', decide);
    client.on('session', (accept) => {
      accept().on('exec', (acceptExec) => run(acceptExec()));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const knownHostsFile = join(directory, 'known_hosts');
  writeFileSync(knownHostsFile, `[127.0.0.1]:${port} ${keys.public}\n`);
  return { port, knownHostsFile, stop: () => server.close() };
}
