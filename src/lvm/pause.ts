/**
 * Holds still what writes to some volumes while snapshots of them are taken. A process of its own
 * does it: whatever becomes of this one, it lets go again when the pipe to it closes, and after a
 * time limit in any case.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { release } from 'node:os';
import { LvmsyncError } from '../errors.js';

export interface PauseOptions {
  /** Of file systems to freeze. */
  mountPoints: readonly string[];
  /** Shell command lines before and after; the second is run whenever the first was begun. */
  pre?: string | undefined;
  post?: string | undefined;
  /** How long it may last. */
  limitSeconds: number;
  /** Told what the commands print. */
  onOutput(chunk: Buffer): void;
}

const STATUS = { preFailed: 10, freezeFailed: 11, tookTooLong: 12, thawFailed: 13, postFailed: 14 };

// Its arguments: the limit, the two commands, the mount points. A signal that ends this process, or
// all of its control group, must not end this one; nor must a broken pipe end the second command.
const GUARD = `
trap '' HUP INT TERM PIPE
limit=$1 pre=$2 post=$3
shift 3
status=0 frozen=0
if [ -n "$pre" ]; then
  (trap - HUP INT TERM PIPE; exec /bin/sh -c "$pre" </dev/null 3>&-) || status=${STATUS.preFailed}
fi
for mount; do
  [ $status = 0 ] || break
  if fsfreeze --freeze "$mount" 3>&-; then frozen=$((frozen + 1)); else status=${STATUS.freezeFailed}; fi
done
if [ $status = 0 ]; then
  echo ready >&3
  timeout "$limit" cat >/dev/null 3>&- || status=${STATUS.tookTooLong}
fi
for mount; do
  [ $frozen -gt 0 ] || break
  fsfreeze --unfreeze "$mount" 3>&- || status=${STATUS.thawFailed}
  frozen=$((frozen - 1))
done
if [ -n "$post" ]; then
  /bin/sh -c "$post" </dev/null 3>&- || status=${STATUS.postFailed}
fi
exit $status
`;

/**
 * Runs `work` while all is held still.
 *
 * @throws LvmsyncError PAUSE_FAILED when it cannot be held still, or not long enough, or does not
 *   go on as it should; what `work` throws
 */
export async function whilePaused(options: PauseOptions, work: () => Promise<void>): Promise<void> {
  const { mountPoints, pre, post, limitSeconds, onOutput } = options;
  if (mountPoints.length === 0 && pre === undefined && post === undefined) return work();
  const args = ['-c', GUARD, 'sh', String(limitSeconds), pre ?? '', post ?? '', ...mountPoints];
  const env = { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin` };
  const guard = spawn('/bin/sh', args, {
    env,
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  const [input, output, errors, ready] = guard.stdio;
  output.on('data', onOutput);
  errors.on('data', onOutput);
  input.on('error', () => undefined);
  const ended: Promise<unknown> = once(guard, 'exit').then(
    ([status]) => status,
    (cause: Error) => cause.message,
  );
  const isReady = await Promise.race([
    once(ready as NodeJS.ReadableStream, 'data').then(() => true),
    ended.then(() => false),
  ]);
  let failure: unknown;
  if (isReady) {
    await work().catch((error: unknown) => {
      failure = error;
    });
  }
  input.end();
  const status = await ended;
  // What a command has started in the background may keep them open.
  for (const pipe of [output, errors, ready]) (pipe as typeof output).destroy();
  if (failure !== undefined) throw failure;
  if (status !== 0) throw pauseError(status, options);
}

function pauseError(status: unknown, { pre, post, limitSeconds }: PauseOptions): LvmsyncError {
  const fail = (words: string, hint: string) => new LvmsyncError('PAUSE_FAILED', words, { hint });
  switch (status) {
    case STATUS.preFailed:
      return fail(`the command "${pre}" failed: no snapshot was taken`, 'what it printed says why');
    case STATUS.freezeFailed:
      return fail(
        'a file system could not be frozen: no snapshot was taken',
        'what fsfreeze printed says which and why; one that is frozen already is not frozen again',
      );
    case STATUS.tookTooLong:
      return fail(
        `the snapshots were not taken within ${limitSeconds} s: what writes was let go on before`,
        'run the same command again, with a longer --pause-limit if need be',
      );
    case STATUS.thawFailed:
      return fail(
        'a file system could not be thawed after the snapshots',
        'look which one is still frozen, and run fsfreeze --unfreeze on it',
      );
    case STATUS.postFailed:
      return fail(
        `the command "${post}" failed after the snapshots`,
        'what it printed says why; run it by hand, then the same command again',
      );
    default:
      return fail(
        `what holds the writers still ended with ${String(status)}`,
        'look whether a file system is still frozen (fsfreeze --unfreeze), and run it again',
      );
  }
}

/** Since Linux 6.8 LVM can suspend a device whose file system is frozen already. */
const NESTING_KERNEL = [6, 8] as const;

/** @throws LvmsyncError PAUSE_FAILED where a snapshot of a frozen file system fails */
export function assertCanFreeze(kernel = release()): void {
  const [major = 0, minor = 0] = kernel.split('.').map((word) => Number.parseInt(word, 10));
  const [neededMajor, neededMinor] = NESTING_KERNEL;
  if (major > neededMajor || (major === neededMajor && minor >= neededMinor)) return;
  throw new LvmsyncError(
    'PAUSE_FAILED',
    `this kernel (${kernel}) cannot take a snapshot of a frozen file system: that came with Linux 6.8`,
    {
      hint: "of a single volume it is not needed: LVM freezes its file system itself; for several, stop the writers instead: --pre 'systemctl freeze UNIT' --post 'systemctl thaw UNIT'",
    },
  );
}
