import { LvmsyncError } from '../errors.js';

/** A path on this machine, or one on another reached over a transport. */
export type Destination =
  | { kind: 'local'; path: string }
  | { kind: 'remote'; user: string | undefined; host: string; path: string };

/**
 * Reads `[[user@]host:]path`. It splits at the first `:` as the classic tool does; without one,
 * or with a `/` before it (`/dev/x`, `./a:b`), the path is local. An IPv6 address stands in
 * brackets, as in `root@[::1]:/dev/vg/lv`; `host` comes without them.
 * @throws LvmsyncError USAGE
 */
export function parseDestination(text: string): Destination {
  const bracketed = /^(?:([^/[\]]*)@)?\[([^\]/]*)\](.*)$/s.exec(text);
  if (bracketed !== null) {
    const [, user, host = '', rest = ''] = bracketed;
    if (!rest.startsWith(':')) throw malformed(text, 'no `:` follows the bracketed host');
    return remote(text, user, host, rest.slice(1));
  }
  const colon = text.indexOf(':');
  const slash = text.indexOf('/');
  if (colon === -1 || (slash !== -1 && slash < colon)) {
    if (text === '') throw malformed(text, 'it is empty');
    return { kind: 'local', path: text };
  }
  // The last `@`: a user name may hold one (user@domain), a host name may not.
  const at = text.lastIndexOf('@', colon);
  const user = at === -1 ? undefined : text.slice(0, at);
  return remote(text, user, text.slice(at + 1, colon), text.slice(colon + 1));
}

/** `user@host` or `host`, as `ssh` takes it. */
export function sshHostArgument(user: string | undefined, host: string): string {
  return user === undefined ? host : `${user}@${host}`;
}

function remote(text: string, user: string | undefined, host: string, path: string): Destination {
  if (host === '') throw malformed(text, 'the host is empty');
  if (path === '') throw malformed(text, 'the path is empty');
  if (user === '') throw malformed(text, 'the user is empty');
  for (const name of [user, host]) {
    // A leading dash would be read as an option by the ssh command.
    if (name?.startsWith('-')) throw malformed(text, `\`${name}\` begins with a dash`);
    if (name !== undefined && /[\s\p{Cc}]/u.test(name)) {
      throw malformed(text, 'the host holds white space or a control character');
    }
  }
  return { kind: 'remote', user, host, path };
}

function malformed(text: string, reason: string): LvmsyncError {
  return new LvmsyncError('USAGE', `${JSON.stringify(text)} is not a destination: ${reason}`, {
    hint: 'give [[user@]host:]path; put ./ before a local path with a `:` in it',
  });
}
