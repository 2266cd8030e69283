import type { ClientChannel } from 'ssh2';
import { LvmsyncError } from '../../errors.js';
import { streamSource } from '../byte-source.js';
import type { Channel, ChannelEnd } from '../channel.js';
import { inputOf, outputOf } from './channel-streams.js';
import type { Connection } from './connection.js';
import { oneLine } from './server-text.js';

/** How long a killed command may take to end before its end is taken for granted. */
const DESTROY_GRACE_MS = 2000;

/**
 * Runs a command line in a channel of its own, which `onOpen` is given before anything is written.
 * @throws LvmsyncError CONNECT_FAILED when the server refuses the channel, REMOTE_NOT_STARTED when
 * it refuses the command, CONNECTION_LOST when the connection is gone
 */
export function openExecChannel(
  connection: Connection,
  line: string,
  description: string,
  onStderr: (chunk: Buffer) => void,
  onOpen: (channel: ClientChannel) => void = () => {},
): Promise<Channel> {
  return new Promise((resolve, reject) => {
    try {
      connection.client.exec(line, (error, channel) => {
        if (error !== undefined) return reject(refusal(connection, description, error));
        connection.batch(channel);
        onOpen(channel);
        // Built at once: the exit status may come with the same packets.
        resolve(execChannel(connection, channel, description, onStderr));
      });
    } catch (error) {
      reject(refusal(connection, description, error));
    }
  });
}

function execChannel(
  connection: Connection,
  channel: ClientChannel,
  description: string,
  onStderr: (chunk: Buffer) => void,
): Channel {
  let exit: ChannelEnd | undefined;
  let isDestroyed = false;
  let settle: (end: ChannelEnd) => void = () => {};
  const end = new Promise<ChannelEnd>((resolve) => {
    settle = resolve;
  });
  const input = inputOf(channel);
  const output = outputOf(channel);
  channel.on('error', () => {});
  channel.on('exit', (status: number | null, signal?: string) => {
    exit = { status, signal: signal ?? null };
  });
  channel.stderr.on('data', onStderr);
  channel.stderr.on('error', () => {});
  // Standard error closes with the channel, whether or not anybody reads standard output.
  channel.stderr.once('close', () => {
    // A command whose input was cut off may end well; that is no success.
    if (isDestroyed) return settle(destroyed(description));
    const error = exit === undefined ? connection.lossReason() : undefined;
    if (!input.writableFinished) input.destroy(error ?? ended(description));
    if (error !== undefined) output.destroy(error);
    settle(exit ?? { status: null, signal: null, ...(error === undefined ? {} : { error }) });
  });
  return {
    description,
    input,
    answers: streamSource(output, description),
    end,
    destroy() {
      isDestroyed = true;
      input.destroy();
      output.destroy();
      // OpenSSH passes signals on unless the login is root's; then only its input ends.
      channel.signal('TERM');
      channel.close();
      const timer = setTimeout(() => settle(destroyed(description)), DESTROY_GRACE_MS);
      void end.then(() => clearTimeout(timer));
    },
  };
}

function refusal(connection: Connection, description: string, error: unknown): LvmsyncError {
  const message = oneLine(error instanceof Error ? error.message : String(error));
  if (/Not connected|No response from server/.test(message)) return connection.lossReason();
  if (error instanceof Error && 'reason' in error) {
    return new LvmsyncError(
      'CONNECT_FAILED',
      `${description}: the server refused another channel: ${message}`,
      {
        cause: error,
        hint: 'MaxSessions in its sshd_config limits how many one connection may have',
      },
    );
  }
  return new LvmsyncError(
    'REMOTE_NOT_STARTED',
    `${description}: the server refused to run a command`,
    {
      cause: error,
      hint: 'look at ForceCommand and the login shell of that user there',
    },
  );
}

function ended(description: string): LvmsyncError {
  return new LvmsyncError(
    'CONNECTION_LOST',
    `${description}: the far side ended before it had read all`,
    {
      hint: 'its own message says why',
    },
  );
}

function destroyed(description: string): ChannelEnd {
  const error = new LvmsyncError(
    'CONNECTION_LOST',
    `${description}: the channel was closed from here`,
    { hint: 'what closed it is told elsewhere; run this again' },
  );
  return { status: null, signal: null, error };
}
