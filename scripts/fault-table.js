// fault-table.js DIR - prints the rows that the fault tests left in DIR as a table with totals.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const OUTCOMES = ['refused', 'failed', 'succeeded', 'undetectable'];

const directory = process.argv[2] ?? '.';
const rows = readdirSync(directory)
  .filter((name) => name.endsWith('.jsonl'))
  .flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'))
  .filter((line) => line !== '')
  .map((line) => JSON.parse(line));

const cells = new Map();
for (const row of rows) {
  const key = `${row.kind}\0${row.fault}`;
  const cell = cells.get(key) ?? { kind: row.kind, fault: row.fault, counts: {}, healed: 0 };
  cell.counts[row.outcome] = (cell.counts[row.outcome] ?? 0) + 1;
  if (row.healed) cell.healed++;
  cells.set(key, cell);
}

const lines = [...cells.values()]
  .sort((a, b) => a.kind.localeCompare(b.kind) || a.fault.localeCompare(b.fault))
  .map(({ kind, fault, counts, healed }) => [
    kind,
    fault,
    ...OUTCOMES.map((outcome) => counts[outcome] ?? ''),
    healed || '',
  ]);
const table = [['kind', 'fault', ...OUTCOMES, 'healed'], ...lines];
const widths = table[0].map((_, column) =>
  Math.max(...table.map((line) => String(line[column]).length)),
);
for (const line of table) {
  const padded = line.map((text, column) =>
    column < 2 ? String(text).padEnd(widths[column]) : String(text).padStart(widths[column]),
  );
  console.log(padded.join('  ').trimEnd());
}

const count = (test) => rows.filter(test).length;
const falseSuccesses = count((row) => row.falseSuccess);
const lostData = count((row) => row.lostData);
const notHealed = count((row) => row.healed === false);
console.log();
console.log(`${rows.length} faults in ${cells.size} combinations of kind and fault`);
for (const outcome of OUTCOMES) {
  const note =
    outcome === 'undetectable' ? ' (PROTO[3] or a stream without a receiver to ask)' : '';
  console.log(`  ${outcome}: ${count((row) => row.outcome === outcome)}${note}`);
}
console.log(`healed by a second run: ${count((row) => row.healed)}, not healed: ${notHealed}`);
console.log(`false successes: ${falseSuccesses}`);
console.log(`lost data: ${lostData}`);
process.exitCode = falseSuccesses + lostData + notHealed > 0 ? 1 : 0;
