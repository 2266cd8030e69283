/** What can be seen of a run, and be changed, while it is in flight. */
import { fstatSync } from 'node:fs';
import type { Writable } from 'node:stream';
import {
  type Bandwidth,
  barLine,
  createBandwidth,
  createProgress,
  onQuestions,
  openRunSocket,
  outputTo,
  type Progress,
  plainLine,
  progressJson,
  type RunWatcher,
} from '../index.js';
import { usageError } from './job.js';
import type { CliOptions } from './options.js';
import type { Reporter } from './reporter.js';
import type { Screen } from './screen.js';

export interface LiveRun {
  /** To be told of everything. The run shows itself from the first phase on. */
  readonly watcher: RunWatcher;
  readonly bandwidth: Bandwidth;
  /** How far it is now. */
  progress(): Progress;
  /** How `lvmsync status` calls the run, where that is not by its first two words. */
  name(source: string, destination: string): void;
  /** Prints what it has come to last; nothing is shown any more. */
  end(): Promise<void>;
}

export interface LiveRunOptions {
  command: string;
  words: readonly string[];
  options: Pick<CliOptions, 'progress' | 'progressFd' | 'bwlimit' | 'quiet'>;
  screen: Screen;
  reporter: Reporter;
}

type Kind = 'bar' | 'plain' | 'json' | 'none';

const INTERVAL_MS: Readonly<Record<Exclude<Kind, 'none'>, number>> = {
  bar: 100,
  json: 500,
  plain: 10_000,
};
/** A shorter run is over before anybody has read its line. */
const DRAW_AFTER_SECONDS = 0.3;
/** A shorter run is over before anybody has asked for it. */
const SOCKET_AFTER_MS = 100;
/** A reader so far behind misses lines. */
const MAX_WAITING_BYTES = 64 << 10;
const LAST_LINE_MS = 1000;
const STDERR_FD = 2;

/** @throws LvmsyncError USAGE */
export function createLiveRun({
  command,
  words,
  options,
  screen,
  reporter,
}: LiveRunOptions): LiveRun {
  const kind = chooseKind(options, screen);
  const output = openOutput(kind, options);
  const bandwidth = createBandwidth({ bytesPerSecond: options.bwlimit });
  const [source = '', destination = ''] = words;
  const startedAt = Math.floor(Date.now() / 1000);
  const identity = { pid: process.pid, command, source, destination, startedAt };
  let hasBegun = false;
  let timer: NodeJS.Timeout | undefined;
  let opening: NodeJS.Timeout | undefined;
  let closeSocket: (() => Promise<void>) | undefined;
  const progress = createProgress({
    streamBytes: () => bandwidth.passedBytes,
    onPhase() {
      if (!hasBegun) begin();
      show();
    },
  });

  function begin(): void {
    hasBegun = true;
    opening = setTimeout(() => {
      closeSocket = openRunSocket({
        identity,
        bandwidth,
        progress: progress.read,
        onFailure: ({ message }) => reporter.note(`lvmsync status will not show this: ${message}`),
      });
    }, SOCKET_AFTER_MS).unref();
    if (kind !== 'none') timer = setInterval(show, INTERVAL_MS[kind]).unref();
  }

  function show(): void {
    if (kind === 'bar') drawBar();
    else if (kind === 'json') write(progressJson(progress.read()));
    else if (kind === 'plain') write(plainLine(progress.read()));
  }

  function drawBar(): void {
    const state = progress.read();
    // A command may ask something, of which nobody here knows.
    const isOther = state.phase === 'connect' || state.phase === 'command';
    const isHidden = isOther || state.elapsedSeconds < DRAW_AFTER_SECONDS;
    screen.draw(isHidden ? '' : barLine(state, screen.columns - 1));
  }

  function write(line: string): void {
    if (output === undefined) screen.write(`${line}\n`);
    else if (output.writableLength < MAX_WAITING_BYTES) output.write(`${line}\n`);
  }

  onQuestions(screen.pause, screen.resume);
  process.on('SIGUSR1', () => {
    const line = hasBegun ? plainLine(progress.read()) : 'nothing has been done yet';
    screen.write(`${line}\n`);
  });

  return {
    watcher: progress,
    bandwidth,
    progress: progress.read,
    name(itsSource, itsDestination) {
      identity.source = itsSource;
      identity.destination = itsDestination;
    },
    async end() {
      clearInterval(timer);
      clearTimeout(opening);
      if (hasBegun && kind === 'json') show();
      screen.draw('');
      await closeSocket?.();
      if (output !== undefined) await finish(output);
    },
  };
}

function chooseKind(
  { progress = 'auto', progressFd, quiet }: LiveRunOptions['options'],
  { canDraw }: Screen,
): Kind {
  if (progress === 'bar') {
    if (progressFd !== undefined) throw usageError('a bar is for the terminal: leave one out');
    return canDraw ? 'bar' : 'plain';
  }
  if (progress !== 'auto') return progress;
  if (progressFd !== undefined) return 'json';
  return canDraw && !quiet ? 'bar' : 'none';
}

function openOutput(kind: Kind, { progressFd }: LiveRunOptions['options']): Writable | undefined {
  if (progressFd === undefined || progressFd === STDERR_FD || kind === 'none') return undefined;
  if (!isOpen(progressFd)) {
    throw usageError(
      `--progress-fd ${progressFd}: no such descriptor is open`,
      `open it, such as with ${progressFd}>FILE behind the command`,
    );
  }
  return outputTo(progressFd).on('error', () => {}); // whoever reads it has read enough
}

/** Node has descriptors of its own, most of which are of no such kind. */
function isOpen(fd: number): boolean {
  try {
    const stats = fstatSync(fd);
    return stats.isFile() || stats.isFIFO() || stats.isSocket() || stats.isCharacterDevice();
  } catch {
    return false;
  }
}

/** What waits for a reader that has stopped must not keep the run from its end. */
async function finish(output: Writable): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, LAST_LINE_MS);
    const done = () => {
      clearTimeout(timer);
      resolve();
    };
    output.on('close', done);
    output.end(done);
  });
}
