/** Which contenders of a scenario run, and how often. */
import { runCommand } from '../support/command.js';
import type { Contender, FarSide } from './contenders.js';
import { medianSeconds, type Row } from './results.js';
import type { Volume } from './volume.js';

export interface Taking {
  contender: Contender;
  row: Row;
}

/** Who takes so many times as long as the reference runs once: more would tell nothing. */
const RUNS_ONCE_BEYOND = 3;

/** Why a contender cannot take part here; undefined when it can. */
export async function whyNot(contender: Contender, volume: Volume, far: FarSide, help: string) {
  const argv = contender.argv(volume, far);
  const [program = ''] = argv;
  if (!program.includes('/')) {
    const { status } = await runCommand('sh', ['-c', 'command -v "$1"', 'sh', program]);
    if (status !== 0) return `${program} is not installed`;
  }
  if (program !== process.execPath || !argv[1]?.endsWith('/bin/lvmsync')) return undefined;
  const unknown = argv.find(
    (word) =>
      /^--[a-z]/.test(word) && !help.includes(word.replace(/^--no-/, '--')) && word !== '--version',
  );
  return unknown && `there is no ${unknown}`;
}

/** Never one of ours: a slow run of these is what the bench is there to see. */
export function slowOnes(taking: readonly Taking[], reference: string): string[] {
  const { row } = taking.find(({ contender }) => contender.name === reference) ?? {};
  if (row === undefined) return [];
  const limit = RUNS_ONCE_BEYOND * medianSeconds(row);
  return taking
    .filter(({ contender, row }) => !contender.isOurs && medianSeconds(row) > limit)
    .map(({ contender }) => contender.name);
}
