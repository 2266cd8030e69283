/** A source on another host, as the command line names it. */
import {
  type AskOptions,
  collectInOneGo,
  type Destination,
  type Engine,
  type Offer,
  parseDestination,
} from '../index.js';
import { proto4Words } from './connect.js';
import { deliveryOptions } from './delivery.js';
import { connectToHost } from './host.js';
import { type Job, usageError } from './job.js';
import type { CliOptions } from './options.js';

export type RemotePlace = Extract<Destination, { kind: 'remote' }>;

export interface RemoteSource {
  place: RemotePlace;
  /** On this machine. */
  targetPath: string;
}

export interface SourceHost {
  /** What it takes to ask for `name` there: what it lists, or all of it. */
  ask(name: string, what: 'changes' | 'whole', engine: Engine): AskOptions;
  close(): Promise<void>;
}

/**
 * Where the source is, if on another host; the target is then on this one.
 *
 * @throws LvmsyncError USAGE
 */
export function remoteSource(
  { options }: Job,
  source: string,
  target: string,
): RemoteSource | undefined {
  const place = parseDestination(source);
  if (place.kind === 'local') return undefined;
  const { kind, path: targetPath } = parseDestination(target);
  if (kind === 'remote') {
    throw usageError(
      `source and target are both on other hosts: ${source}, ${target}`,
      'run lvmsync on one of the two, and name what is there by its path alone',
    );
  }
  const { channels = 'auto', streams = 'auto', dataChannel = 'ssh' } = options;
  if (channels !== 'auto' || streams !== 'auto' || dataChannel !== 'ssh') {
    throw usageError(
      '--channels, --streams and --data-channel are for a target on another host',
      'what comes from another host comes over one channel: leave them out',
    );
  }
  return { place, targetPath };
}

export function connectToSource(job: Job, place: RemotePlace): SourceHost {
  collectInOneGo(); // what comes is read by ssh2, or by Node's streams
  const host = connectToHost(job, place);
  return {
    ask: (name, what, engine) => ({
      ...deliveryOptions(job, place),
      engine,
      openOffer: (offer, onStderr) =>
        host.start((transport) =>
          transport.open(offerArgv(job.options, offer, what, name), onStderr),
        ),
    }),
    close: host.close,
  };
}

/** What the other end is started with. */
function offerArgv(
  options: CliOptions,
  offer: Offer,
  what: 'changes' | 'whole',
  name: string,
): string[] {
  const { verifyBase, skipUnchanged, dataSource, engine } = options;
  const argv = ['lvmsync', '--send-to-stdio', offer];
  if (what === 'whole') argv.push('--whole');
  if (options.verbose) argv.push('-v');
  if (options.debug) argv.push('-d');
  if (options.quiet) argv.push('-q');
  if (options.force) argv.push('--force');
  argv.push(...proto4Words(options));
  if (engine !== 'auto') argv.push('--engine', engine);
  if (options.compress) argv.push('--compress');
  if (options.bwlimit !== undefined) argv.push('--bwlimit', `${options.bwlimit}B`);
  if (what === 'changes') {
    if (dataSource !== undefined) argv.push('--data-source', dataSource);
    if (verifyBase === false) argv.push('--no-verify-base');
    else if (verifyBase !== 'sample') argv.push('--verify-base', verifyBase);
    if (skipUnchanged !== undefined) {
      argv.push(skipUnchanged ? '--skip-unchanged' : '--no-skip-unchanged');
    }
  }
  argv.push(name);
  return argv;
}
