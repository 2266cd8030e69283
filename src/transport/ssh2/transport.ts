import type { Engine } from '../../block/engine.js';
import type { Transport } from '../channel.js';
import { sshHostArgument } from '../destination.js';
import { opensshLinks } from '../openssh-links.js';
import { remoteCommandLine } from '../remote-command.js';
import { type Connection, connectSsh } from './connection.js';
import { openExecChannel } from './exec-channel.js';
import { forwardedLinks } from './forwarded-links.js';
import { measureRoundTrip } from './round-trip.js';
import { shortWindow } from './short-window.js';
import { openTerminal, type Terminal } from './terminal.js';

export interface SshOptions {
  host: string;
  user?: string | undefined;
  port?: number | undefined;
  /** Words for the remote shell in place of `argv[0]`, passed as given: `sudo lvmsync`. */
  remoteCommand?: string | undefined;
  /** As `ssh -F`: read this instead of ~/.ssh/config and /etc/ssh/ssh_config. */
  configPath?: string | undefined;
  /** As `ssh -o`: each `Keyword=value`, ahead of every file. */
  configOptions?: readonly string[] | undefined;
  /** The OpenSSH client that is asked for the configuration; `ssh` when not given. */
  sshProgram?: string | undefined;
  /** Where to ask for passphrases and about new hosts: /dev/tty when not given, null for never. */
  terminal?: Terminal | null | undefined;
  environment?: NodeJS.ProcessEnv | undefined;
  /** Encrypts what is sent; ssh2 where it is not given, or cannot. */
  engine?: Pick<Engine, 'createSshSealer'> | undefined;
  /** Told what `-v` shows, such as the cipher and the keys that were skipped. */
  onNote?: ((message: string) => void) | undefined;
  /** Told what every user should see, such as a host key that was added. */
  onWarning?: ((message: string) => void) | undefined;
}

/**
 * SSH in this process, with the user's OpenSSH configuration, keys, agent and known hosts. The
 * first `open` connects; all channels share that connection.
 */
export function sshTransport(options: SshOptions): Transport {
  const { host, user, port, remoteCommand } = options;
  const description = `ssh ${sshHostArgument(user, host)}`;

  /** What connects as this transport does, with the cipher that it settled on. */
  function clientCommand({ cipher }: Connection): string[] {
    const words = [options.sshProgram ?? 'ssh'];
    if (options.configPath !== undefined) words.push('-F', options.configPath);
    for (const option of options.configOptions ?? []) words.push('-o', option);
    if (port !== undefined) words.push('-p', String(port));
    if (cipher !== undefined) words.push('-c', cipher);
    return [...words, sshHostArgument(user, host)];
  }

  let connection: Promise<Connection> | undefined;
  const connect = () =>
    connectSsh(
      { host, user, port },
      {
        source: {
          configPath: options.configPath,
          options: options.configOptions,
          sshProgram: options.sshProgram,
          environment: options.environment ?? process.env,
        },
        terminal: options.terminal === undefined ? openTerminal() : (options.terminal ?? undefined),
        engine: options.engine ?? {},
        onNote: options.onNote ?? (() => {}),
        onWarning: options.onWarning ?? options.onNote ?? (() => {}),
      },
    );
  return {
    description,
    async runShell(line, onStderr) {
      connection ??= connect();
      return openExecChannel(await connection, line, description, onStderr);
    },
    async open(argv, onStderr) {
      const line = remoteCommandLine(argv, remoteCommand);
      connection ??= connect();
      const connected = await connection;
      const window = shortWindow(connected.software);
      const opening = openExecChannel(connected, line, description, onStderr, window.hold);
      const roundTripMs = measureRoundTrip(connected.client, window.allowFor);
      const channel = await opening;
      return {
        ...channel,
        roundTripMs,
        host: connected.isDirect ? connected.config.hostName : undefined,
        links: forwardedLinks(connected, description),
        openStream: () => opensshLinks({ command: clientCommand(connected), description }),
      };
    },
    async close() {
      const open = await connection?.catch(() => undefined);
      await open?.close();
    },
  };
}
