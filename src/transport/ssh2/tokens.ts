/** What the tokens of ssh_config(5), section TOKENS, stand for. */
export interface TokenValues {
  /** %h: the host name after resolution. */
  hostName: string;
  /** %n: the host as it was given. */
  originalHost: string;
  /** %p */
  port: number;
  /** %r */
  user: string;
  /** %d: the home directory of the password file, which OpenSSH takes instead of $HOME. */
  home: string;
  /** %u */
  localUser: string;
  /** %i */
  localUserId: number;
  /** %l */
  localHost: string;
  /** %k: the name host keys are looked up by. */
  hostKeyName: string;
}

/** Replaces `%h` and its kin; a token this does not know stays as it is. */
export function expandTokens(text: string, values: TokenValues): string {
  return text.replaceAll(/%(.)/g, (token, letter: string) => tokenValue(letter, values) ?? token);
}

/** A path as ssh_config(5) has them: `~`, `${VARIABLE}` and tokens are replaced. */
export function expandPath(
  path: string,
  values: TokenValues,
  environment: NodeJS.ProcessEnv,
): string {
  const rooted = path === '~' || path.startsWith('~/') ? values.home + path.slice(1) : path;
  const named = rooted.replaceAll(
    /\$\{(\w+)\}/g,
    (variable, name: string) => environment[name] ?? variable,
  );
  return expandTokens(named, values);
}

function tokenValue(letter: string, values: TokenValues): string | undefined {
  switch (letter) {
    case '%':
      return '%';
    case 'h':
      return values.hostName;
    case 'n':
      return values.originalHost;
    case 'p':
      return String(values.port);
    case 'r':
      return values.user;
    case 'd':
      return values.home;
    case 'u':
      return values.localUser;
    case 'i':
      return String(values.localUserId);
    case 'l':
      return values.localHost;
    case 'L':
      return values.localHost.replace(/\..*/, '');
    case 'k':
      return values.hostKeyName;
    default:
      return undefined;
  }
}
