import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { basename } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { Engine, EngineLink } from '../block/engine.js';
import { reasonOf } from '../block/errno.js';
import { LvmsyncError } from '../errors.js';
import { streamSource } from './byte-source.js';
import type { Channel, ChannelEnd, Transport } from './channel.js';
import { engineInput } from './link.js';
import { opensshLinks } from './openssh-links.js';
import { remoteCommandLine } from './remote-command.js';

export interface RshOptions {
  /** As given to `-e`: a program and its options, split by `splitWords`. */
  command: string;
  /** Passed to the program as one word: `host` or `user@host`. */
  host: string;
  /** Words for the remote shell in place of `argv[0]`, passed as given: `sudo lvmsync`. */
  remoteCommand?: string | undefined;
  engine?: Pick<Engine, 'adoptSocket'> | undefined;
}

/** The exit status by which `ssh` says that it, not the remote command, failed (ssh(1)). */
const SSH_OWN_FAILURE = 255;

/** How long standard error may stay open after the command ended, in milliseconds. */
const STDERR_GRACE_MS = 2000;

/** How long the command may take to end after SIGTERM, in milliseconds. */
const KILL_GRACE_MS = 2000;

/**
 * Runs each channel over its own process of a command such as `ssh -p 2222`, as the classic tool
 * and rsync do: COMMAND... HOST 'REMOTE COMMAND LINE'. No local shell is involved.
 * @throws LvmsyncError USAGE when the command cannot be split into words
 */
export function rshTransport(options: RshOptions): Transport {
  const [program = '', ...programArgs] = splitWords(options.command);
  if (program === '') {
    throw new LvmsyncError('USAGE', 'the command given to -e is empty', { hint: 'try -e ssh' });
  }
  const description = `${program} ${options.host}`;
  const channels = new Set<Channel>();
  async function start(line: string, onStderr: (chunk: Buffer) => void): Promise<Channel> {
    let channel: Channel;
    try {
      const child = spawn(program, [...programArgs, options.host, line], {
        stdio: ['pipe', 'pipe', 'pipe'],
      });
      channel = childChannel(child, { description, program }, onStderr, options.engine);
      await once(child, 'spawn');
    } catch (error) {
      throw cannotStart(program, error);
    }
    channels.add(channel);
    void channel.end.then(() => channels.delete(channel));
    return channel;
  }
  return {
    description,
    runShell: start,
    async open(argv, onStderr) {
      const line = remoteCommandLine(argv, options.remoteCommand);
      const channel = await start(line, onStderr);
      if (basename(program) !== 'ssh') return channel;
      const openLinks = () =>
        opensshLinks({ command: [program, ...programArgs, options.host], description });
      return { ...channel, links: openLinks(), openStream: openLinks };
    },
    async close() {
      for (const channel of channels) channel.destroy();
      await Promise.all([...channels].map((channel) => channel.end));
    },
  };
}

function childChannel(
  child: ChildProcessByStdio<Writable, Readable, Readable>,
  names: { description: string; program: string },
  onStderr: (chunk: Buffer) => void,
  engine: RshOptions['engine'],
): Channel {
  // A far side that stops reading shows as EPIPE here; how it ended says why, so that is kept.
  child.stdin.on('error', () => {});
  child.stdout.on('error', () => {});
  child.stderr.on('error', () => {});
  child.stderr.on('data', onStderr);
  const { input, closeInput } = openInput(child.stdin, engine);
  const stderrClosed = once(child.stderr, 'close');
  const end = new Promise<ChannelEnd>((resolve) => {
    child.once('error', (error) => {
      resolve({ status: null, signal: null, error: cannotStart(names.program, error) });
    });
    child.once('exit', async (status, signal) => {
      closeInput();
      // A process that `ssh` left behind (ControlPersist) may hold standard error open for ever.
      await Promise.race([stderrClosed, delay(STDERR_GRACE_MS, undefined, { ref: false })]);
      child.stderr.destroy();
      resolve({ status, signal, ...ownFailure(status, names) });
    });
  });
  return {
    description: names.description,
    input,
    answers: streamSource(child.stdout, names.description),
    end,
    destroy() {
      closeInput();
      child.stdin.destroy();
      child.stdout.destroy();
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), KILL_GRACE_MS);
      timer.unref();
      child.once('exit', () => clearTimeout(timer));
    },
  };
}

/**
 * The standard input of a child: a socket, and what the kernel takes of a record at a time is a
 * long turn of this thread when it has to look for memory.
 */
function openInput(
  stdin: Writable,
  engine: RshOptions['engine'],
): { input: Writable; closeInput(): void } {
  const link = adopt(stdin, engine);
  if (link === undefined) return { input: stdin, closeInput() {} };
  const input = engineInput(link);
  input.once('finish', () => {
    link.close();
    stdin.destroy();
  });
  return {
    input,
    closeInput() {
      link.close();
      input.destroy();
    },
  };
}

/** Undefined where Node has to write: without an engine, or without a descriptor for it. */
function adopt(stdin: Writable, engine: RshOptions['engine']): EngineLink | undefined {
  // Of Node, undocumented: the descriptor of a socket.
  const { fd = -1 } = (stdin as { _handle?: { fd?: number } })._handle ?? {};
  if (fd < 0) return undefined;
  try {
    return engine?.adoptSocket?.(fd);
  } catch {
    return undefined;
  }
}

function ownFailure(
  status: number | null,
  names: { description: string; program: string },
): { error?: LvmsyncError } {
  if (status !== SSH_OWN_FAILURE) return {};
  const error = new LvmsyncError(
    'CONNECTION_LOST',
    `${names.description}: ${names.program} could not connect, or lost the connection (exit status 255)`,
    { hint: `what it printed says why; try \`${names.description} true\`` },
  );
  return { error };
}

function cannotStart(program: string, cause: unknown): LvmsyncError {
  const { errno, words } = reasonOf(cause);
  const reason = errno === 'ENOENT' ? 'there is no such command' : words;
  return new LvmsyncError('CONNECT_FAILED', `cannot start ${program}: ${reason}`, {
    ...(errno !== undefined && { errno }),
    cause,
    hint: 'check the command given to -e, or leave -e out to use the built-in SSH',
  });
}

/**
 * Splits a command at spaces as rsync's `-e` does: quotes of either kind keep spaces, a doubled
 * quote inside them stands for itself, a backslash has no meaning.
 * @throws LvmsyncError USAGE for a quote that is not closed
 */
export function splitWords(command: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = '';
  for (let at = 0; at < command.length; at++) {
    const char = command[at]!;
    if (quote !== '') {
      if (char !== quote) word += char;
      else if (command[at + 1] === quote) word += command[++at]!;
      else quote = '';
    } else if (char === "'" || char === '"') {
      quote = char;
      word ??= '';
    } else if (/\s/.test(char)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else {
      word = (word ?? '') + char;
    }
  }
  if (quote !== '') {
    throw new LvmsyncError('USAGE', `a quote is not closed in ${JSON.stringify(command)}`, {
      hint: 'close it, or double it to mean the quote itself',
    });
  }
  if (word !== undefined) words.push(word);
  return words;
}
