/** The fault matrix: one row for every kind of transfer under every fault, and what must hold. */
import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';

/** Where the rows go, as JSON lines in one file for each process. */
const MATRIX_DIRECTORY = process.env.LVMSYNC_MATRIX_DIR ?? join(tmpdir(), 'lvmsync-matrix');

/** Process ids come again, in guests always. */
const started = Date.now();

/** How many points a seeded fault is tried at for each kind: more in the full matrix. */
export const faultPoints = Number(process.env.LVMSYNC_FAULT_POINTS ?? 10);

export interface Row {
  /** How the data went, such as `rsh-4`. */
  kind: string;
  fault: string;
  outcome: Outcome;
  /** Exit status or signal of each process, the sender's first. */
  exits: readonly (number | string)[];
  /** The first line of the error that was shown. */
  message: string;
  target: string;
  /** Whether an undisturbed run after it succeeded and left the target as it should be. */
  healed: boolean | undefined;
  falseSuccess: boolean;
  lostData: boolean;
}

export type Outcome =
  /** A non-zero exit, and the target as it was. */
  | 'refused'
  /** A non-zero exit, and the target incomplete, or complete but not acknowledged. */
  | 'failed'
  /** Success, and the target is new. */
  | 'succeeded'
  /** The protocol has no means to notice it (PROTO[3]); the target is wrong all the same. */
  | 'undetectable';

export function appendRow(row: Row): void {
  mkdirSync(MATRIX_DIRECTORY, { recursive: true });
  appendFileSync(
    join(MATRIX_DIRECTORY, `${hostname()}-${process.pid}-${started}.jsonl`),
    `${JSON.stringify(row)}\n`,
  );
}

/** What holds for every row, whatever the fault. */
export function assertRow(row: Row): void {
  const what = `${row.kind} x ${row.fault}: ${JSON.stringify(row)}`;
  assert.equal(row.falseSuccess, false, `a false success: ${what}`);
  assert.equal(row.lostData, false, `lost data: ${what}`);
  if (row.outcome !== 'undetectable') assert.notEqual(row.healed, false, `not healed: ${what}`);
}
