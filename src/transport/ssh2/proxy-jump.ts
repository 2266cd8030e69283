import { LvmsyncError } from '../../errors.js';
import type { SshTarget } from './config.js';

/** Reads `ProxyJump`: `[user@]host[:port]` or `ssh://...`, several with commas between. */
export function parseJumps(text: string): SshTarget[] {
  return text.split(',').map((jump) => {
    const match = /^(?:ssh:\/\/)?(?:(.+)@)?(?:\[([^\]]+)\]|([^:[\]@]+))(?::(\d+))?\/?$/.exec(
      jump.trim(),
    );
    const host = match?.[2] ?? match?.[3];
    if (match === null || host === undefined || host.startsWith('-')) {
      throw new LvmsyncError('CONNECT_FAILED', `ProxyJump ${JSON.stringify(jump)} is not a host`, {
        hint: 'it is [user@]host[:port], see ssh_config(5)',
      });
    }
    return { host, user: match[1], port: match[4] === undefined ? undefined : Number(match[4]) };
  });
}
