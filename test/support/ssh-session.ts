import { loadEngine } from '#lvmsync/block/engines.js';
import type { Channel, ChannelEnd, Transport } from '#lvmsync/transport/channel.js';
import { type SshOptions, sshTransport } from '#lvmsync/transport/ssh2/transport.js';
import { readAll } from './read-all.js';
import type { TestSshd } from './sshd.js';

/** What one remote command printed and how it ended. */
export interface Finished {
  stdout: string;
  stderr: string;
  end: ChannelEnd;
}

const { engine } = loadEngine('native');

/** A transport to the test server as its ssh_config describes it, with nobody to ask. */
export function transportTo(sshd: TestSshd, options: Partial<SshOptions> = {}): Transport {
  return sshTransport({
    host: sshd.alias,
    configPath: sshd.configFile,
    terminal: null,
    engine,
    ...options,
  });
}

/** Runs a command with nothing on its standard input, to its end. */
export async function finish(transport: Transport, argv: readonly string[]): Promise<Finished> {
  const stderr: Buffer[] = [];
  const channel = await transport.open(argv, (chunk) => stderr.push(chunk));
  channel.input.end();
  const stdout = (await readAll(channel.answers)).toString();
  const end = await channel.end;
  return { stdout, stderr: Buffer.concat(stderr).toString(), end };
}

/** Connects, runs `true`, disconnects. */
export async function tryLogin(sshd: TestSshd, options: Partial<SshOptions> = {}): Promise<void> {
  const transport = transportTo(sshd, options);
  try {
    const { end } = await finish(transport, ['true']);
    if (end.status !== 0) throw end.error ?? new Error(`status ${end.status}`);
  } finally {
    await transport.close();
  }
}

/** Writes one chunk; rejects with the error of the write. */
export function write(channel: Channel, chunk: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    channel.input.write(chunk, (error) => (error ? reject(error) : resolve()));
  });
}
