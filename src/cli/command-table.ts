/** Every command but the classic one: what commander reads, and what is run then. */
import type { Command } from 'commander';
import { runCopy } from './copy.js';
import { copyCommand } from './copy-command.js';
import { runDiff } from './diff.js';
import { diffCommand } from './diff-command.js';
import { runDoctor } from './doctor.js';
import { doctorCommand } from './doctor-command.js';
import { runInspect } from './inspect.js';
import { inspectCommand } from './inspect-command.js';
import type { Run } from './job.js';
import { runMigrate } from './migrate.js';
import { migrateCommand } from './migrate-command.js';
import { runPull } from './pull.js';
import { pullCommand } from './pull-command.js';
import { runReplicate } from './replicate.js';
import { replicateCommand } from './replicate-command.js';
import { runRollback } from './rollback.js';
import { rollbackCommand } from './rollback-command.js';
import { runServe } from './serve.js';
import { serveCommand } from './serve-command.js';
import { runStatus } from './status.js';
import { statusCommand } from './status-command.js';
import { runVerify } from './verify.js';
import { verifyCommand } from './verify-command.js';

export interface CommandEntry {
  define(): Command;
  /** Its own options are those that `define` defines: nothing but the eye checks that. */
  run(...job: Parameters<Run>): ReturnType<Run>;
}

/** In the order of `--help`. */
export const COMMANDS: readonly CommandEntry[] = [
  { define: copyCommand, run: runCopy },
  { define: pullCommand, run: runPull },
  { define: migrateCommand, run: runMigrate },
  { define: replicateCommand, run: runReplicate },
  { define: verifyCommand, run: runVerify },
  { define: diffCommand, run: runDiff },
  { define: inspectCommand, run: runInspect },
  { define: statusCommand, run: runStatus },
  { define: rollbackCommand, run: runRollback },
  { define: doctorCommand, run: runDoctor },
  { define: serveCommand, run: runServe },
];
