import {
  type Engine,
  LvmsyncError,
  parseDestination,
  type ReplicaPair,
  type ReplicateReport,
  removeReplica,
  replicate,
} from '../index.js';
import { connectTo } from './connect.js';
import { deliveryOptions } from './delivery.js';
import { NOTHING_CHANGED } from './dry-run.js';
import { openEngine } from './engine.js';
import { type Job, usageError } from './job.js';
import type { ReplicateOwnOptions } from './replicate-command.js';

type ReplicateJob = Job<ReplicateOwnOptions>;

/** `lvmsync replicate ORIGIN TARGET [ORIGIN TARGET]...`, and the same with `--remove`. */
export async function runReplicate(job: ReplicateJob): Promise<undefined> {
  const { options, reporter } = job;
  const pairs = pairUp(job.words);
  if (options.remove) {
    await removeReplica({ pairs, stateDirectory: options.stateDir, onSay: reporter.say });
    return;
  }
  const { at } = await run(job, pairs);
  const { zeroBytes, unchangedBytes, streamBytes } = job.run.progress();
  const fields = {
    ...{ pairs, dryRun: options.dryRun === true, state: at },
    ...{ zeroBytes, unchangedBytes, streamBytes, flushed: at !== undefined },
  };
  if (at === undefined) {
    reporter.summary([NOTHING_CHANGED], { fields });
    return;
  }
  const what = pairs.length === 1 ? pairs[0]?.destination : `${pairs.length} targets`;
  const hold = pairs.length === 1 ? 'holds' : 'hold';
  const lines = [
    `Sent ${streamBytes} bytes of stream; not sent: ${zeroBytes} of zeroes, ${unchangedBytes} unchanged`,
    `Replicated: ${what} ${hold} the state of ${at}, flushed`,
  ];
  reporter.summary(lines, { fields });
}

interface NamedPair {
  origin: string;
  destination: string;
}

function pairUp(words: readonly string[]): NamedPair[] {
  if (words.length % 2 !== 0) {
    throw usageError(
      `no target given for ${words.at(-1)}`,
      'try: lvmsync replicate ORIGIN [[user@]host:]TARGET, and more such pairs for a group',
    );
  }
  const pairs: NamedPair[] = [];
  for (let i = 0; i < words.length; i += 2) {
    pairs.push({ origin: words[i] ?? '', destination: words[i + 1] ?? '' });
  }
  return pairs;
}

async function run(job: ReplicateJob, pairs: readonly NamedPair[]): Promise<ReplicateReport> {
  const { options, reporter, signal } = job;
  const places = pairs.map(({ destination }) => parseDestination(destination));
  const engine = openEngine(job);
  try {
    return await replicate({
      pairs: pairs.map((pair, i) => describePair(job, pair, places[i], engine)),
      ...{ engine, signal },
      keep: options.keep,
      snapshotSize: options.snapshotSize,
      extendAtPercent: options.extendAt,
      freeze: options.freeze,
      pre: options.pre,
      post: options.post,
      pauseSeconds: options.pauseLimit,
      compare: options.compare,
      dryRun: options.dryRun,
      stateDirectory: options.stateDir,
      onOutput: reporter.relay,
      onSay: reporter.say,
      onNote: reporter.note,
      onWarning: reporter.warn,
    });
  } catch (error) {
    if (!(error instanceof LvmsyncError) || error.code !== 'INTERRUPTED') throw error;
    throw new LvmsyncError('INTERRUPTED', 'the replication was interrupted', {
      hint: 'run the same command again to go on; until then its snapshots fill up (lvmsync replicate --remove ends it)',
      cause: error,
    });
  }
}

function describePair(
  job: ReplicateJob,
  { origin, destination }: NamedPair,
  place = parseDestination(destination),
  engine: Engine,
): ReplicaPair {
  return {
    ...{ origin, destination },
    delivery: deliveryOptions(job, place),
    connect(source, receiving) {
      const { transactional = false, hold, replica } = receiving ?? {};
      const options = { ...job.options, ...(transactional && { transactional }) };
      return connectTo({ ...job, options }, place, { engine, source, hold, replica });
    },
  };
}
