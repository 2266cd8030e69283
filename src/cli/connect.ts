/** Receivers for what the command line names as a destination: on this machine, or through SSH. */
import {
  applyStream,
  type ChangeSource,
  type Channel,
  type Destination,
  type Engine,
  LvmsyncError,
  localChannel,
  type Protocol,
  rshTransport,
  runHere,
  runThere,
  sshHostArgument,
  sshTransport,
  type Transport,
} from '../index.js';
import type { Job } from './job.js';
import { packageVersion } from './version.js';

export interface Connection {
  /** Starts a receiver, over a new connection; the one before is closed. */
  open(protocol: Protocol, onStderr: (chunk: Buffer) => void): Promise<Channel>;
  close(): Promise<void>;
}

export interface ConnectOptions {
  engine: Engine;
  /** What will be sent: its devices are no targets, and its size must fit. */
  source: Pick<ChangeSource, 'volumeBytes' | 'paths'>;
}

/** Runs a shell command line of the user's on the target's machine; it prints to standard error. */
export async function runOnTarget(job: Job, place: Destination, line: string): Promise<void> {
  const { relay } = job.reporter;
  if (place.kind === 'local') return runHere(line, relay);
  const transport = openTransport(job, place.user, place.host);
  try {
    await runThere(transport, line, relay);
  } finally {
    await transport.close();
  }
}

export function connectTo(
  job: Job,
  place: Destination,
  { engine, source }: ConnectOptions,
): Connection {
  let transport: Transport | undefined;
  return {
    async open(protocol, onStderr) {
      if (place.kind === 'local')
        return openLocalChannel(job, source, engine, place.path, protocol);
      await transport?.close();
      transport = openTransport(job, place.user, place.host);
      return openRemoteChannel(job, transport, place.path, protocol, onStderr);
    },
    async close() {
      await transport?.close();
    },
  };
}

function openTransport({ options, reporter }: Job, user: string | undefined, host: string) {
  const { remoteCommand } = options;
  if (options.rsh !== undefined) {
    const address = sshHostArgument(user, host);
    return rshTransport({ command: options.rsh, host: address, remoteCommand });
  }
  return sshTransport({
    user,
    host,
    remoteCommand,
    configPath: options.sshConfig,
    onNote: reporter.note,
    onWarning: reporter.warn,
  });
}

async function openLocalChannel(
  { options, reporter }: Job,
  source: ConnectOptions['source'],
  engine: Engine,
  targetPath: string,
  protocol: Protocol,
): Promise<Channel> {
  return localChannel(async (input, answers) => {
    await applyStream({
      input,
      targetPath,
      engine,
      ...(protocol === 4 && { answers, version: packageVersion() }),
      snapbackPath: options.snapback,
      snapbackFormat: options.snapbackFormat,
      transactional: options.transactional,
      stateDirectory: options.stateDir,
      force: options.force,
      needBytes: source.volumeBytes,
      sourcePaths: source.paths,
      onWarning: reporter.warn,
    });
  });
}

/** The command line that an original receiver takes too; ours alone is given what is more. */
function openRemoteChannel(
  { options, reporter }: Job,
  transport: Transport,
  path: string,
  protocol: Protocol,
  onStderr: (chunk: Buffer) => void,
): Promise<Channel> {
  if (options.transactional && protocol === 3) {
    throw new LvmsyncError('REMOTE_FAILED', 'the receiver cannot do --transactional', {
      hint: 'it speaks PROTO[3] only: install this version of lvmsync there, or leave the option away',
    });
  }
  const argv = ['lvmsync', '--apply', '-'];
  if (options.snapback !== undefined) argv.push('--snapback', options.snapback);
  if (options.snapbackFormat !== undefined && protocol === 3) {
    reporter.warn('with PROTO[3] the receiver chooses the format of the snapback itself');
  }
  if (options.verbose) argv.push('-v');
  if (options.debug) argv.push('-d');
  if (options.force) argv.push('--force');
  if (protocol === 4) {
    argv.push('--protocol', '4', '--timeout', String(options.timeout));
    if (options.snapbackFormat !== undefined) {
      argv.push('--snapback-format', String(options.snapbackFormat));
    }
    if (options.transactional) argv.push('--transactional');
    if (options.queueDepth !== undefined) argv.push('--queue-depth', String(options.queueDepth));
    if (options.bufferMemory !== undefined) {
      argv.push('--buffer-memory', String(options.bufferMemory));
    }
  }
  argv.push(path);
  return transport.open(argv, onStderr);
}
