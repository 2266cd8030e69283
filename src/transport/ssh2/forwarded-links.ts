import { LvmsyncError } from '../../errors.js';
import { streamSource } from '../byte-source.js';
import type { Link, LinkOpener } from '../link.js';
import { inputOf, outputOf } from './channel-streams.js';
import type { Connection } from './connection.js';
import { oneLine } from './server-text.js';

/** Links over further channels of a connection, as OpenSSH's PROTOCOL has them (section 2.4). */
export function forwardedLinks(connection: Connection, description: string): LinkOpener {
  return {
    open: (socketPath) =>
      new Promise<Link>((resolve, reject) => {
        const refused = (error: unknown) => reject(refusal(description, error));
        try {
          connection.client.openssh_forwardOutStreamLocal(socketPath, (error, channel) => {
            if (error !== undefined) return refused(error);
            channel.on('error', () => {});
            connection.batch(channel);
            const input = inputOf(channel);
            const output = outputOf(channel);
            channel.once('close', () => {
              if (!input.writableFinished) input.destroy(new Error('the channel was closed'));
              output.destroy();
            });
            const destroy = () => {
              input.destroy();
              output.destroy();
              channel.close();
            };
            resolve({ input, source: streamSource(output, description), destroy });
          });
        } catch (error) {
          refused(error);
        }
      }),
    close: async () => {},
  };
}

function refusal(description: string, error: unknown): LvmsyncError {
  const message = oneLine(error instanceof Error ? error.message : String(error));
  return new LvmsyncError('CONNECT_FAILED', `${description}: no further channel: ${message}`, {
    cause: error,
    hint: 'see AllowStreamLocalForwarding and MaxSessions in its sshd_config, and the options of the key there',
  });
}
