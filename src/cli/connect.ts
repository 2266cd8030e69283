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
  type ReplicaRun,
  remoteCommandLine,
  runHere,
  runThere,
  type Transport,
  verifyTarget,
} from '../index.js';
import { connectToHost, openTransport } from './host.js';
import type { Job } from './job.js';
import type { CliOptions } from './options.js';
import { replicaWords } from './replica-words.js';
import { packageVersion } from './version.js';

export interface Connection {
  /** Starts a receiver, over a new connection unless the receiver before ended well. */
  open(protocol: Protocol, onStderr: (chunk: Buffer) => void): Promise<Channel>;
  /**
   * Starts a receiver that answers what its target holds, and writes nothing.
   *
   * @param forRepair it refuses a target that one that writes would refuse
   */
  openVerifier(onStderr: (chunk: Buffer) => void, forRepair?: boolean): Promise<Channel>;
  /** The command line that `open` runs there; undefined for a receiver in this process. */
  describeReceiver(protocol: Protocol): string | undefined;
  close(): Promise<void>;
}

export interface ConnectOptions {
  engine: Engine;
  /** What will be sent: its devices are no targets, and its size must fit. */
  source: Pick<ChangeSource, 'volumeBytes' | 'paths'>;
  /** The receiver keeps a history of the target. */
  replica?: ReplicaRun | undefined;
  /** It waits for the sender before it applies what it has; transactional whatever the options. */
  hold?: boolean | undefined;
}

/** Runs a shell command line of the user's on the target's machine; it prints to standard error. */
export async function runOnTarget(job: Job, place: Destination, line: string): Promise<void> {
  const { relay } = job.reporter;
  if (place.kind === 'local') return runHere(line, relay);
  const transport = openTransport(job, place);
  try {
    await runThere(transport, line, relay);
  } finally {
    await transport.close();
  }
}

export function connectTo(job: Job, place: Destination, connecting: ConnectOptions): Connection {
  const { engine, source } = connecting;
  const { path } = place;
  const { repair } = job.options;
  if (place.kind === 'local') {
    return {
      open: (protocol) => openLocalChannel(job, connecting, path, protocol),
      openVerifier: (_, forRepair = repair) =>
        openLocalVerifier(job, source, engine, path, forRepair),
      describeReceiver: () => undefined,
      close: async () => {},
    };
  }
  const host = connectToHost(job, place, engine);
  return {
    open: (protocol, onStderr) =>
      host.start((transport) =>
        openRemoteChannel(job, transport, path, protocol, onStderr, connecting),
      ),
    openVerifier: (onStderr, forRepair = repair) =>
      host.start((transport) =>
        transport.open(verifierArgv(job, path, forRepair, source.volumeBytes), onStderr),
      ),
    describeReceiver(protocol) {
      const argv = receiverArgv(job, path, protocol, connecting);
      return remoteCommandLine(argv, job.options.remoteCommand);
    },
    close: host.close,
  };
}

async function openLocalChannel(
  { options, reporter }: Job,
  { source, engine, replica, hold }: ConnectOptions,
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
      transactional: options.transactional ?? hold,
      hold,
      replica,
      stateDirectory: options.stateDir,
      force: options.force,
      ...(options.create && {
        create: { sizeBytes: source.volumeBytes, thinPool: options.thinpool },
      }),
      needBytes: source.volumeBytes,
      sourcePaths: source.paths,
      onNote: reporter.note,
      onWarning: reporter.warn,
    });
  });
}

async function openLocalVerifier(
  { options, reporter }: Job,
  { volumeBytes, paths }: ConnectOptions['source'],
  engine: Engine,
  targetPath: string,
  forRepair: boolean | undefined,
): Promise<Channel> {
  return localChannel((input, answers) =>
    verifyTarget({
      input,
      answers,
      targetPath,
      engine,
      version: packageVersion(),
      forRepair,
      force: options.force,
      stateDirectory: options.stateDir,
      create: options.create && { sizeBytes: volumeBytes, thinPool: options.thinpool },
      needBytes: volumeBytes,
      sourcePaths: paths,
      onWarning: reporter.warn,
    }),
  );
}

function verifierArgv(
  { options }: Job,
  path: string,
  forRepair: boolean | undefined,
  volumeBytes: number,
): string[] {
  const argv = ['lvmsync', '--apply', '-', '--answer-checks'];
  if (forRepair) argv.push('--repair');
  if (options.verbose) argv.push('-v');
  if (options.debug) argv.push('-d');
  if (options.force) argv.push('--force');
  argv.push(...proto4Words(options), ...createWords(options, volumeBytes), path);
  return argv;
}

/** What has a receiver make its target. */
function createWords({ create, thinpool }: CliOptions, volumeBytes: number): string[] {
  if (!create) return [];
  const pool = thinpool === undefined ? [] : ['--create-thinpool', thinpool];
  return ['--create-bytes', String(volumeBytes), ...pool];
}

/** What only a receiver of ours understands. */
export function proto4Words({ timeout, queueDepth, bufferMemory }: CliOptions): string[] {
  const words = ['--protocol', '4', '--timeout', String(timeout)];
  if (queueDepth !== undefined) words.push('--queue-depth', String(queueDepth));
  if (bufferMemory !== undefined) words.push('--buffer-memory', String(bufferMemory));
  return words;
}

function openRemoteChannel(
  job: Job,
  transport: Transport,
  path: string,
  protocol: Protocol,
  onStderr: (chunk: Buffer) => void,
  connecting: ConnectOptions,
): Promise<Channel> {
  const { replica, hold } = connecting;
  const { options, reporter } = job;
  const transactional = options.transactional ?? hold;
  if (transactional && protocol === 3) {
    throw new LvmsyncError('REMOTE_FAILED', 'the receiver cannot do --transactional', {
      hint: 'it speaks PROTO[3] only: install this version of lvmsync there, or leave the option away',
    });
  }
  if (replica !== undefined && protocol === 3) {
    throw new LvmsyncError('REMOTE_FAILED', 'the receiver cannot keep a history of its target', {
      hint: 'it speaks PROTO[3] only: install this version of lvmsync there',
    });
  }
  if (options.snapbackFormat !== undefined && protocol === 3) {
    reporter.warn('with PROTO[3] the receiver chooses the format of the snapback itself');
  }
  return transport.open(receiverArgv(job, path, protocol, connecting), onStderr);
}

/** The command line that an original receiver takes too; ours alone is given what is more. */
function receiverArgv(
  { options }: Job,
  path: string,
  protocol: Protocol,
  { source, replica, hold }: ConnectOptions,
): string[] {
  const argv = ['lvmsync', '--apply', '-'];
  if (options.snapback !== undefined) argv.push('--snapback', options.snapback);
  if (options.verbose) argv.push('-v');
  if (options.debug) argv.push('-d');
  if (options.force) argv.push('--force');
  if (protocol === 4) {
    argv.push(...proto4Words(options));
    if (options.snapbackFormat !== undefined) {
      argv.push('--snapback-format', String(options.snapbackFormat));
    }
    if (options.transactional ?? hold) argv.push('--transactional');
    if (hold) argv.push('--hold');
    if (replica !== undefined) argv.push(...replicaWords(replica));
    argv.push(...createWords(options, source.volumeBytes));
  }
  argv.push(path);
  return argv;
}
