/** What `lvmsync diff` says, as text and as JSON. */
import {
  type ChangeSurvey,
  counted,
  estimateTransfer,
  inBitRate,
  inBytes,
  inDate,
  inPercent,
  inTime,
  type TransferEstimate,
} from '../index.js';

/** Where no link is named: 100 Mbit/s, 1 Gbit/s, 10 Gbit/s. */
const LINKS = [1e8, 1e9, 1e10];

export function estimates(survey: ChangeSurvey, link: number | undefined): TransferEstimate[] {
  const { changedBytes, discardedBytes, extentCount, volumeBytes } = survey;
  const changes = { dataBytes: changedBytes - discardedBytes, extentCount };
  const links = link === undefined ? LINKS : [link];
  return links.map((each) => estimateTransfer(changes, volumeBytes, each));
}

/** `1.2 GiB of 4.0 TiB (0.03%)`. */
export function changedWords({ changedBytes, volumeBytes }: ChangeSurvey): string {
  const share = volumeBytes === 0 ? 0 : changedBytes / volumeBytes;
  return `${inBytes(changedBytes)} of ${inBytes(volumeBytes)} (${inPercent(share)})`;
}

/** @param now seconds since 1970 */
export function diffText(survey: ChangeSurvey, link: number | undefined, now: number): string {
  const { name, against, changedChunks, chunkBytes, extentCount, discardedBytes } = survey;
  const versus = against === undefined ? '' : ` against ${against}`;
  const lines = [
    `${name}${versus}: ${changedWords(survey)} changed`,
    `  ${counted(changedChunks, 'chunk')} of ${inBytes(chunkBytes)}, in ${counted(extentCount, 'extent')}`,
  ];
  if (discardedBytes > 0) {
    lines.push(`  ${inBytes(discardedBytes)} of them discarded, which need not be sent`);
  }
  lines.push(...takenLines(survey, now), ...fillLines(survey), ...linkLines(survey, link));
  if (survey.changing) lines.push('  It is being written to: there is more by now.');
  return `${lines.join('\n')}\n`;
}

function takenLines({ takenAt }: ChangeSurvey, now: number): string[] {
  if (takenAt === undefined) return [];
  return [`Taken ${inDate(takenAt)}, ${inTime(Math.max(0, now - takenAt))} ago`];
}

function fillLines({ kind, fill, overflow }: ChangeSurvey): string[] {
  const { usedBytes, totalBytes } = fill;
  const what = { thick: 'The snapshot', thin: 'The pool', store: 'The store' }[kind];
  const amount = `${inBytes(usedBytes)} of ${inBytes(totalBytes)}`;
  const full = `${what} is ${inPercent(usedBytes / totalBytes)} full (${amount})`;
  switch (overflow.kind) {
    case 'never':
      return [full, '  It has room for the whole volume and cannot overflow'];
    case 'expected': {
      const rate = kind === 'thin' ? 'by what this volume alone writes' : 'at this rate';
      return [full, `  Full in ${inTime(overflow.seconds)} ${rate}, as it was since then`];
    }
    case 'unknown':
      return [full];
  }
}

function linkLines(survey: ChangeSurvey, link: number | undefined): string[] {
  const rows = estimates(survey, link).map(({ bitsPerSecond, changesSeconds, wholeSeconds }) => [
    inBitRate(bitsPerSecond),
    inTime(changesSeconds),
    inTime(wholeSeconds),
  ]);
  const table = [['over a link of', 'the changes', 'a full copy'], ...rows];
  const widths = [0, 1, 2].map((column) =>
    Math.max(...table.map((row) => row[column]?.length ?? 0)),
  );
  return table.map((row) =>
    `  ${row.map((word, column) => word.padEnd(widths[column] ?? 0)).join('   ')}`.trimEnd(),
  );
}

/** As docs/json.md has it. */
export function diffJson(survey: ChangeSurvey, link: number | undefined): object {
  const { coverage: _, takenAt, fill, overflow, ...facts } = survey;
  return {
    version: 1,
    type: 'diff',
    ...facts,
    takenAt,
    fill,
    overflow,
    estimates: estimates(survey, link),
  };
}
