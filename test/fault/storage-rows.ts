import type { CommandResult } from '../support/command.js';
import { appendRow, assertRow, type Row } from './matrix.js';

/** Enters what a storage fault did into the matrix; called when its assertions have held. */
export function recordStorageRow(
  kind: string,
  fault: string,
  { status, signal, stderr }: CommandResult,
  healed: boolean | undefined,
  outcome: Row['outcome'] = 'failed',
): void {
  const row: Row = {
    kind,
    fault,
    outcome,
    exits: [status ?? signal ?? 'none'],
    message: /^FATAL ERROR: (.*)$/m.exec(stderr)?.[1] ?? '',
    target: outcome === 'refused' ? 'old' : outcome === 'succeeded' ? 'new' : 'mixed',
    healed,
    falseSuccess: status === 0 && outcome !== 'succeeded',
    lostData: false,
  };
  appendRow(row);
  assertRow(row);
}
