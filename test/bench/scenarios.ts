/** What is measured: volumes that have changed in one way or another, and who moves the changes. */
import { createRandom } from '../support/random.js';
import {
  type Contender,
  dd,
  ddDefaultCipher,
  ddOfAsMuch,
  nbdcopy,
  ours,
  oursLocal,
  oursLocalByItself,
  oursVerify,
  readBoth,
  rsync,
  simpleLoop,
  ssh2Alone,
  tlsAlone,
  viaOpenssh,
  viaSsh2Alone,
} from './contenders.js';
import { seededContent, withZeroes } from './content.js';
import { fioBoth, fioOf } from './fio.js';
import type { VolumePlan } from './volume.js';

export interface Scenario {
  name: string;
  title: string;
  plan(scale: number): VolumePlan;
  contenders: Contender[];
  /** The contender that all others are compared with. */
  reference: string;
  /** How far away the far side is, in milliseconds there and back. */
  roundTripMs?: number;
  /** Short ones are run more often. */
  runsPerRound?: number;
  /** The rates are of the whole volume, not of what has changed. */
  comparesAll?: true;
  /**
   * Takes so little that starting up is most of it: the probes would be measured too, and the time
   * that it takes to enter a control group, which is as long as `node -e 0`.
   */
  withoutProbes?: true;
}

const MIB = 1 << 20;
const KIB = 1 << 10;

const lvmsync = ours('lvmsync');
const js = ours('lvmsync --engine js', '--engine', 'js');
const tls = ours('lvmsync --data-channel tls', '--data-channel', 'tls');
const streams = (count: number) =>
  ours(`lvmsync --streams ${count}`, '--streams', String(count), '--channels', '1');

/** At least one mebibyte, whole ones. */
const scaled = (bytes: number, scale: number) =>
  Math.max(1, Math.round((bytes * scale) / MIB)) * MIB;

function everyChunk(originBytes: number, chunkBytes: number): number[] {
  return Array.from({ length: originBytes / chunkBytes }, (_, chunk) => chunk);
}

/** One in `oneIn` chunks, in runs of so many. */
function scattered(originBytes: number, chunkBytes: number, oneIn: number, run: number): number[] {
  const random = createRandom(oneIn * 100 + run);
  const places = originBytes / chunkBytes / run;
  const chosen = new Set<number>();
  while (chosen.size < Math.ceil(places / oneIn)) chosen.add(random.below(places));
  return [...chosen]
    .sort((a, b) => a - b)
    .flatMap((place) => Array.from({ length: run }, (_, i) => place * run + i));
}

function tinyPlan(scale: number): VolumePlan {
  const originBytes = scaled(256 * MIB, Math.max(scale, 0.1));
  const changedChunks = scattered(originBytes, 4 * KIB, 100, 1).slice(0, 655);
  return { originBytes, chunkBytes: 4 * KIB, changedChunks };
}

export const SCENARIOS: readonly Scenario[] = [
  // First what takes milliseconds: what comes later leaves the machine's memory and disk busy.
  {
    name: 'tiny',
    title: '655 chunks of 4 KiB of 256 MiB, both ends on this machine',
    plan: tinyPlan,
    contenders: [oursLocal, node('node -e 0', '-e', '0'), node('lvmsync --version')],
    reference: 'node -e 0',
    runsPerRound: 5,
    withoutProbes: true,
  },
  {
    name: 'far-tiny',
    title: '655 chunks of 4 KiB of 256 MiB, 40 ms away',
    plan: tinyPlan,
    contenders: [lvmsync, connectOnly()],
    reference: 'ssh2, connect and run true',
    roundTripMs: 40,
    withoutProbes: true,
  },
  {
    name: 'dense',
    title: 'Everything has changed',
    plan(scale) {
      const originBytes = scaled(2048 * MIB, scale);
      return {
        originBytes,
        chunkBytes: 4 * KIB,
        changedChunks: everyChunk(originBytes, 4 * KIB),
      };
    },
    contenders: [
      lvmsync,
      tls,
      viaSsh2Alone,
      viaOpenssh,
      streams(2),
      streams(4),
      js,
      dd,
      ddDefaultCipher,
      nbdcopy,
      rsync,
      ssh2Alone,
      tlsAlone,
      fioBoth('sequential'),
    ],
    reference: dd.name,
  },
  {
    name: 'scattered',
    title: '1% has changed, single chunks of 4 KiB',
    plan(scale) {
      const originBytes = scaled(4096 * MIB, scale);
      const changedChunks = scattered(originBytes, 4 * KIB, 100, 1);
      return { originBytes, chunkBytes: 4 * KIB, changedChunks };
    },
    contenders: [lvmsync, js, simpleLoop, ddOfAsMuch('dd bs=4k | ssh | dd bs=4k', 4 * KIB)],
    reference: 'dd bs=4k | ssh | dd bs=4k',
  },
  {
    name: 'runs',
    title: '1% has changed, runs of 16 chunks of 4 KiB',
    plan(scale) {
      const originBytes = scaled(4096 * MIB, scale);
      const changedChunks = scattered(originBytes, 4 * KIB, 100, 16);
      return { originBytes, chunkBytes: 4 * KIB, changedChunks };
    },
    contenders: [lvmsync, js, ddOfAsMuch('dd bs=64k | ssh | dd bs=64k', 64 * KIB)],
    reference: 'dd bs=64k | ssh | dd bs=64k',
  },
  {
    name: 'partial',
    title: 'Chunks of 64 KiB with 4 KiB changed in each',
    plan(scale) {
      const originBytes = scaled(1024 * MIB, scale);
      const changedChunks = scattered(originBytes, 64 * KIB, 4, 1);
      return { originBytes, chunkBytes: 64 * KIB, changedChunks, changedBytesPerChunk: 4 * KIB };
    },
    contenders: [
      lvmsync,
      ours('lvmsync --no-skip-unchanged', '--no-skip-unchanged'),
      ddOfAsMuch('dd | ssh | dd', MIB),
    ],
    reference: 'dd | ssh | dd',
  },
  {
    name: 'zeroes',
    title: 'Everything has changed, 60% to zeroes',
    plan(scale) {
      const originBytes = scaled(1024 * MIB, scale);
      const changedChunks = everyChunk(originBytes, 64 * KIB);
      const content = withZeroes(seededContent('new'), 0.6);
      return { originBytes, chunkBytes: 64 * KIB, changedChunks, content };
    },
    contenders: [lvmsync, js, dd],
    reference: dd.name,
  },
  {
    name: 'verify',
    title: '1000 blocks of 4 KiB differ, and nobody knows which',
    plan(scale) {
      const originBytes = scaled(2048 * MIB, scale);
      const oneIn = originBytes / (4 * KIB) / 1000;
      return {
        originBytes,
        chunkBytes: 4 * KIB,
        changedChunks: scattered(originBytes, 4 * KIB, oneIn, 1),
      };
    },
    contenders: [oursVerify, rsync, readBoth],
    reference: rsync.name,
    comparesAll: true,
  },
  {
    name: 'local',
    title: '5% has changed, single chunks of 4 KiB, both ends on this machine',
    plan(scale) {
      const originBytes = scaled(4096 * MIB, scale);
      const changedChunks = scattered(originBytes, 4 * KIB, 20, 1);
      return { originBytes, chunkBytes: 4 * KIB, changedChunks, withScratch: true };
    },
    contenders: [oursLocalByItself, fioOf('randread'), fioOf('randwrite'), fioBoth('random')],
    reference: 'fio randwrite',
  },
  {
    name: 'far',
    title: 'Everything has changed, 40 ms away',
    plan(scale) {
      const originBytes = scaled(256 * MIB, scale);
      return {
        originBytes,
        chunkBytes: 64 * KIB,
        changedChunks: everyChunk(originBytes, 64 * KIB),
      };
    },
    contenders: [lvmsync, ours('lvmsync --channels 1', '--channels', '1'), dd],
    reference: dd.name,
    roundTripMs: 40,
  },
];

function node(name: string, ...args: string[]): Contender {
  const words = args.length > 0 ? args : [lvmsyncScript(), '--version'];
  return { name, argv: () => [process.execPath, ...words], rateOnly: true, leavesTarget: true };
}

function lvmsyncScript(): string {
  return new URL('../../bin/lvmsync', import.meta.url).pathname;
}

/** Connects as a run does, and has nothing to send. */
function connectOnly(): Contender {
  const script = new URL('ssh2-alone.js', import.meta.url).pathname;
  return {
    name: 'ssh2, connect and run true',
    argv: (_volume, { alias, configFile }) => [process.execPath, script, configFile, alias, '0'],
    rateOnly: true,
    leavesTarget: true,
  };
}
