/** The figures that the project wants to reach, beside those that this run has reached. */
import type { Run } from './measure.js';
import { METADATA } from './metadata.js';
import { cpuPerGib, isNative, medianSeconds, type Results, type Row, ratioTo } from './results.js';
import { spreadOf } from './stats.js';

interface Bar {
  what: string;
  wanted: string;
  /** Undefined where this run has not measured it. */
  seen(find: Find): string | undefined;
}

type Find = (scenario: string, contender: string) => Row | undefined;

const TLS = 'lvmsync --data-channel tls';

const ratio = (results: Results, scenario: string, one: string, other: string) => {
  const result = results.scenarios.find(({ name }) => name === scenario);
  const row = result?.rows.find(({ name }) => name === one);
  return result && row && ratioTo(result, row, other)?.toFixed(2);
};

export function barsOf(results: Results): string {
  const find: Find = (scenario, contender) =>
    results.scenarios
      .find(({ name }) => name === scenario)
      ?.rows.find(({ name }) => name === contender);
  const bars: Bar[] = [
    {
      what: 'dense, over `dd \\| ssh \\| dd` with the same cipher',
      wanted: '>= 1.45',
      seen: () => ratio(results, 'dense', 'lvmsync', 'dd | ssh | dd'),
    },
    {
      what: "dense, over the same with ssh's own cipher",
      wanted: '>= 2',
      seen: () => ratio(results, 'dense', 'lvmsync', 'dd | ssh (its own cipher) | dd'),
    },
    {
      what: 'dense, of what the disk does reading and writing at once',
      wanted: '-',
      seen: () => ratio(results, 'dense', 'lvmsync', 'disk alone, fio reads and writes'),
    },
    {
      what: 'dense, CPU of both ends beyond what ssh2 and sshd need, s/GiB',
      wanted: '<= 0.9',
      seen: () =>
        compareCpu(
          find('dense', 'lvmsync'),
          find('dense', 'ssh2 alone, to /dev/null'),
          (all, alone) => all - alone,
        ),
    },
    {
      what: 'dense over TLS, CPU of everything against the run that ssh2 encrypts',
      wanted: '<= 0.7',
      seen: () =>
        compareCpu(find('dense', TLS), find('dense', 'lvmsync, encrypted by ssh2'), ratioOf),
    },
    {
      what: 'dense over TLS, the same against the run that the addon encrypts',
      wanted: '-',
      seen: () => compareCpu(find('dense', TLS), find('dense', 'lvmsync'), ratioOf),
    },
    {
      what: 'TLS alone against ssh2 alone, CPU, with no disk and no program',
      wanted: '-',
      seen: () =>
        compareCpu(
          find('dense', 'tls alone, to nothing'),
          find('dense', 'ssh2 alone, to /dev/null'),
          ratioOf,
        ),
    },
    {
      what: 'scattered, over the simplest js loop',
      wanted: '>= 3',
      seen: () => ratio(results, 'scattered', 'lvmsync', 'js, simplest loop'),
    },
    {
      what: 'scattered, over `dd bs=4k \\| ssh \\| dd bs=4k`',
      wanted: '>= 1.9',
      seen: () => ratio(results, 'scattered', 'lvmsync', 'dd bs=4k | ssh | dd bs=4k'),
    },
    {
      what: 'local scattered, against the slower of fio randread and randwrite',
      wanted: '>= 0.7',
      seen: () => {
        const [reads, writes] = ['fio randread', 'fio randwrite'].map((other) =>
          ratio(results, 'local', 'lvmsync', other),
        );
        if (reads === undefined || writes === undefined) return undefined;
        return String(Math.max(Number(reads), Number(writes)));
      },
    },
    {
      what: 'local scattered, of what the disk does reading and writing at once',
      wanted: '-',
      seen: () => ratio(results, 'local', 'lvmsync', 'disk alone, fio reads and writes'),
    },
    {
      what: 'verify --repair, over `rsync --inplace`',
      wanted: '>= 2',
      seen: () => ratio(results, 'verify', 'lvmsync verify --repair', 'rsync --inplace'),
    },
    {
      what: 'reading 25 million exceptions, against fio',
      wanted: '>= 0.8',
      seen: () => ratio(results, METADATA, 'lvmsync, native, 25 million', 'fio, 25 million'),
    },
    {
      what: 'the same, against fio beside an endless loop, as parsing is one to the disk',
      wanted: '-',
      seen: () =>
        ratio(
          results,
          METADATA,
          'lvmsync, native, 25 million',
          'fio, 25 million, beside an endless loop',
        ),
    },
    {
      what: 'parsing exceptions, million/s',
      wanted: '>= 50',
      seen: () => fact(results, 'lvmsync, native, 25 million: parsing alone, million/s'),
    },
    {
      what: '25 million exceptions held in MiB',
      wanted: '<= 64',
      seen: () => fact(results, 'lvmsync, native, 25 million: held in MiB'),
    },
    {
      what: 'most memory of either side, with 25 million exceptions / otherwise, MiB',
      wanted: '<= 512 / 200',
      seen: () => mostMemory(results),
    },
    {
      what: 'longest turn of the main thread, native engine: usual run / longest of all, ms',
      wanted: '<= 5',
      seen: () => longestTurn(results, 'loopMaxMs'),
    },
    {
      what: 'the same after the first second of a run, ms',
      wanted: '-',
      seen: () => longestTurn(results, 'settledMaxMs'),
    },
    {
      what: 'turns in which their core stood still, the time of which is left out',
      wanted: '-',
      seen: () => stalledTurns(results),
    },
    {
      what: 'longest turn of the main thread that loads code, ms',
      wanted: '-',
      seen: () => longestLoading(results),
    },
    {
      what: 'tiny, beyond `node -e 0`',
      wanted: '<= 60 ms',
      seen: () => beyond(find('tiny', 'lvmsync'), find('tiny', 'node -e 0')),
    },
    {
      what: '`--version`, times `node -e 0`',
      wanted: '<= 1.3',
      seen: () => {
        const [version, nothing] = [find('tiny', 'lvmsync --version'), find('tiny', 'node -e 0')];
        if (version === undefined || nothing === undefined) return undefined;
        return (medianSeconds(version) / medianSeconds(nothing)).toFixed(2);
      },
    },
    {
      what: '40 ms away, dense, over `dd \\| ssh \\| dd`',
      wanted: '>= 3',
      seen: () => ratio(results, 'far', 'lvmsync', 'dd | ssh | dd'),
    },
    {
      what: '40 ms away, tiny, beyond connecting and running `true`',
      wanted: '<= 160 ms',
      seen: () =>
        beyond(find('far-tiny', 'lvmsync'), find('far-tiny', 'ssh2, connect and run true')),
    },
  ];
  const lines = bars.flatMap(({ what, wanted, seen }) => {
    const figure = seen(find);
    return figure === undefined ? [] : [`| ${what} | ${wanted} | ${figure} |`];
  });
  if (lines.length === 0) return '';
  // With less to do, what a start takes weighs more.
  const wanted = results.scale === 1 ? 'wanted' : 'wanted at scale 1';
  return [`| what | ${wanted} | seen |`, '| --- | ---: | ---: |', ...lines].join('\n');
}

function mostMemory({ scenarios }: Results): string | undefined {
  const most = (isMetadata: boolean) => {
    const rows = scenarios
      .filter(({ name }) => (name === METADATA) === isMetadata)
      .flatMap(({ rows }) => rows);
    const sizes = rows
      .flatMap(({ runs }) => runs.flatMap(({ rssNear, rssFar }) => [rssNear, rssFar]))
      .filter((bytes) => bytes !== undefined);
    return sizes.length === 0 ? '-' : (Math.max(...sizes) / 2 ** 20).toFixed(0);
  };
  const both = `${most(true)} / ${most(false)}`;
  return both === '- / -' ? undefined : both;
}

/** Of each contender the median run: one turn that the processor was slow in is no habit. */
function longestTurn(results: Results, which: 'loopMaxMs' | 'settledMaxMs'): string | undefined {
  const longest = nativeRuns(results).map((runs) => runs.flatMap((run) => run[which] ?? []));
  const known = longest.filter((values) => values.length > 0);
  if (known.length === 0) return undefined;
  const usual = Math.max(...known.map((values) => spreadOf(values).median));
  return `${usual.toFixed(1)} / ${Math.max(...known.flat()).toFixed(1)}`;
}

function stalledTurns(results: Results): string | undefined {
  const counts = nativeRuns(results)
    .flat()
    .flatMap(({ stalledTurns }) => stalledTurns ?? []);
  return counts.length === 0 ? undefined : `${counts.reduce((sum, count) => sum + count)}`;
}

function longestLoading(results: Results): string | undefined {
  const values = nativeRuns(results)
    .flat()
    .flatMap(({ loadingMaxMs }) => loadingMaxMs ?? []);
  return values.length === 0 ? undefined : Math.max(...values).toFixed(0);
}

/** Of each contender. */
function nativeRuns({ scenarios }: Results): Run[][] {
  const rows = scenarios.flatMap(({ rows }) => rows).filter(({ name }) => isNative(name));
  return rows.map(({ runs }) => runs);
}

function fact({ scenarios }: Results, what: string): string | undefined {
  return scenarios.find(({ name }) => name === METADATA)?.facts?.[what]?.toFixed(0);
}

function beyond(row: Row | undefined, other: Row | undefined): string | undefined {
  if (row === undefined || other === undefined) return undefined;
  return `${((medianSeconds(row) - medianSeconds(other)) * 1000).toFixed(0)} ms`;
}

const ratioOf = (one: number, other: number) => one / other;

/** Of the CPU for a GiB that either takes. */
function compareCpu(
  row: Row | undefined,
  other: Row | undefined,
  compare: (one: number, other: number) => number,
): string | undefined {
  const [one, another] = [row, other].map((each) => each && cpuPerGib(each));
  return one === undefined || another === undefined ? undefined : compare(one, another).toFixed(2);
}
