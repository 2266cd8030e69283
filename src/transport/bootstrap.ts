/** Runs lvmsync on a machine that has Node and no lvmsync, by sending it there. */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { findAddonFile, STANDALONE_FILE } from '../block/installation.js';
import { LvmsyncError } from '../errors.js';
import { readFile } from '../files.js';
import { GREETING, HEADER_BYTES, LOADER_SCRIPT, type PackedFile } from './bootstrap-loader.js';
import type { Channel, ChannelEnd, Transport } from './channel.js';
import { firstAnswer } from './first-answer.js';
import { explainEnd } from './remote-exit.js';

export interface BootstrapOptions {
  /** How long the far side may be silent, in milliseconds; 0 for ever. */
  timeoutMs: number;
  /** Told what `-v` shows. */
  onNote(line: string): void;
}

/** The oldest Node that runs lvmsync. */
const OLDEST_NODE = { major: 20, minor: 19 };
const MAX_GREETING_BYTES = 200;
/** How the answer of `lvmsync serve` begins, which runs nothing that it is not made for. */
const SERVE_ANSWER = /^lvmsync PROTO\[/;

/**
 * The same transport, but `open` sends lvmsync along and runs that, whatever program its words name;
 * its option `remoteCommand` says then how Node is run. `open` throws besides LvmsyncError
 * REMOTE_NOT_STARTED when Node is not there or too old, or something else answers; OPEN_FAILED when
 * this installation lacks what is to be sent; PEER_STALLED.
 */
export function bootstrapped(transport: Transport, options: BootstrapOptions): Transport {
  return {
    ...transport,
    async open([, ...words], onStderr) {
      const bundle = await packFile('lvmsync.cjs', STANDALONE_FILE);
      const argv = ['node', '-e', LOADER_SCRIPT, '--', ...words];
      const channel = await transport.open(argv, onStderr);
      try {
        await sendProgram(channel, bundle, options);
        return channel;
      } catch (error) {
        channel.destroy();
        throw error;
      }
    },
  };
}

/** What follows on the channel's input comes after the program. */
async function sendProgram(
  channel: Channel,
  bundle: Packed,
  { timeoutMs, onNote }: BootstrapOptions,
): Promise<void> {
  const { description } = channel;
  const node = parseGreeting(await readGreeting(channel, timeoutMs), description);
  const packed = [bundle];
  const addonPath = node.libc === 'glibc' ? findAddonFile(node.arch) : undefined;
  if (addonPath !== undefined) {
    packed.push(await packFile(`lvmsync.linux-${node.arch}.node`, addonPath));
  }
  const header = JSON.stringify(packed.map(({ file }) => file)).padEnd(HEADER_BYTES);
  const bytes = Buffer.concat([Buffer.from(header), ...packed.map(({ data }) => data)]);
  const parts = addonPath === undefined ? 'without an addon' : 'with its addon';
  onNote(
    `${description}: Node ${node.version}, ${node.arch}, ${node.libc}; sending lvmsync ${parts}, ${bytes.length} bytes`,
  );
  // Not awaited: whoever waits for an answer has the time-out for that.
  channel.input.write(bytes);
}

/** The line that the loader prints, or what came in its place. What follows it is not read. */
async function readGreeting(channel: Channel, timeoutMs: number): Promise<string> {
  const byte = Buffer.alloc(1);
  let text = '';
  while (!text.endsWith('\n') && text.length < MAX_GREETING_BYTES) {
    const end = await firstAnswer(channel, timeoutMs);
    if (end !== undefined) {
      if (text !== '') return text;
      throw notStarted(channel, end);
    }
    await channel.answers.read(byte);
    text += byte.toString('latin1');
  }
  return text;
}

interface FoundNode {
  version: string;
  arch: string;
  libc: string;
}

function parseGreeting(text: string, description: string): FoundNode {
  const [, major, minor, patch, arch = '', libc = ''] = GREETING.exec(text.trimEnd()) ?? [];
  if (major === undefined) {
    const served = SERVE_ANSWER.test(text);
    throw new LvmsyncError(
      'REMOTE_NOT_STARTED',
      served
        ? `${description}: a forced command (lvmsync serve) answers there, which runs nothing that is sent`
        : `${description}: what answers there is not Node`,
      {
        hint: served
          ? 'leave --bootstrap away: lvmsync is installed there'
          : 'a forced command or a login script that prints something is in the way; --remote-command says how Node is run there',
      },
    );
  }
  const version = `${major}.${minor}.${patch}`;
  const isOld =
    Number(major) < OLDEST_NODE.major ||
    (Number(major) === OLDEST_NODE.major && Number(minor) < OLDEST_NODE.minor);
  if (!isOld) return { version, arch, libc };
  throw new LvmsyncError('REMOTE_NOT_STARTED', `${description}: Node ${version} is too old there`, {
    hint: `lvmsync needs ${OLDEST_NODE.major}.${OLDEST_NODE.minor} or later; if there is one elsewhere, say --remote-command /path/to/node`,
  });
}

function notStarted({ description }: Channel, end: ChannelEnd): LvmsyncError {
  if (end.status === 127) {
    return new LvmsyncError('REMOTE_NOT_STARTED', `${description}: there is no Node there`, {
      hint: `install Node ${OLDEST_NODE.major}.${OLDEST_NODE.minor} or later there, or say how it is run: --remote-command /path/to/node`,
    });
  }
  return (
    explainEnd(end, { description, command: 'Node' }) ??
    new LvmsyncError('REMOTE_NOT_STARTED', `${description}: Node said nothing there`, {
      hint: 'try `node --version` on that host',
    })
  );
}

interface Packed {
  file: PackedFile;
  data: Buffer;
}

async function packFile(name: string, path: string): Promise<Packed> {
  let data: Buffer;
  try {
    data = await readFile(path);
  } catch (cause) {
    throw new LvmsyncError('OPEN_FAILED', `cannot read ${path}, which --bootstrap sends`, {
      path,
      cause,
      hint: 'install lvmsync again here: this installation is not whole',
    });
  }
  const sha256 = createHash('sha256').update(data).digest('hex');
  const { gzip } = await import('node:zlib'); // not before it is wanted
  const packed = await promisify(gzip)(data);
  return { file: { name, packedBytes: packed.length, sha256 }, data: packed };
}
