import { LvmsyncError } from '../errors.js';
import type { ChannelEnd } from './channel.js';

/** What ended, for the message. */
export interface RemoteCommand {
  /** The channel's description, such as `ssh backup1`. */
  description: string;
  /** What was to run there: `lvmsync`, or what `--remote-command` said. */
  command: string;
}

/**
 * Why a far side that has ended did not end well; `undefined` when its exit status is 0.
 * 126 and 127 are the shell's own statuses (POSIX XCU 2.8.2).
 */
export function explainEnd(end: ChannelEnd, remote: RemoteCommand): LvmsyncError | undefined {
  const { description, command } = remote;
  if (end.error !== undefined) return end.error;
  if (end.status === 0) return undefined;
  if (end.signal !== null) {
    return new LvmsyncError(
      'REMOTE_FAILED',
      `${description}: ${command} was ended by ${end.signal}`,
      {
        hint: 'see its log there (dmesg tells of out-of-memory kills), then run this again',
      },
    );
  }
  if (end.status === 127) {
    return new LvmsyncError(
      'REMOTE_NOT_STARTED',
      `${description}: ${command} was not found there`,
      {
        hint: 'install lvmsync there, or say where it is with --remote-command; if there is Node, --bootstrap sends it along',
      },
    );
  }
  if (end.status === 126) {
    return new LvmsyncError(
      'REMOTE_NOT_STARTED',
      `${description}: ${command} is there but cannot be executed`,
      { hint: 'check its permissions and its interpreter, or name another with --remote-command' },
    );
  }
  if (end.status === null) {
    return new LvmsyncError(
      'CONNECTION_LOST',
      `${description}: the connection ended before ${command} reported how it ended`,
      { hint: 'check the network and that host, then run this again' },
    );
  }
  return new LvmsyncError(
    'REMOTE_FAILED',
    `${description}: ${command} ended with exit status ${end.status}`,
    { hint: 'what it printed on standard error says why' },
  );
}
