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
  /** As `define` names it. */
  name: string;
  define(): Command;
  /** Its own options are those that `define` defines: nothing but the eye checks that. */
  run(...job: Parameters<Run>): ReturnType<Run>;
}

/** In the order of `--help`. */
export const COMMANDS: readonly CommandEntry[] = [
  { name: 'copy', define: copyCommand, run: runCopy },
  { name: 'pull', define: pullCommand, run: runPull },
  { name: 'migrate', define: migrateCommand, run: runMigrate },
  { name: 'replicate', define: replicateCommand, run: runReplicate },
  { name: 'verify', define: verifyCommand, run: runVerify },
  { name: 'diff', define: diffCommand, run: runDiff },
  { name: 'inspect', define: inspectCommand, run: runInspect },
  { name: 'status', define: statusCommand, run: runStatus },
  { name: 'rollback', define: rollbackCommand, run: runRollback },
  { name: 'doctor', define: doctorCommand, run: runDoctor },
  { name: 'serve', define: serveCommand, run: runServe },
];
