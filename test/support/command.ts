import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';

/** What a finished program left. */
export interface CommandResult {
  /** Exit status; null when a signal ended it. */
  status: number | null;
  signal: NodeJS.Signals | null;
  stdout: Buffer;
  stderr: string;
}

export interface CommandOptions {
  cwd?: string;
  /** Set on top of this process's own environment; undefined removes a variable. */
  env?: Record<string, string | undefined>;
  /** Written to its standard input, which is closed after it. */
  input?: Uint8Array | string;
  /** Killed, and the call rejected, after this many milliseconds (default ten minutes). */
  timeoutMs?: number;
}

/** Words before a command that must not outlive this process, however that ends. */
export const NOT_LONGER_THAN_US = ['setpriv', '--pdeathsig', 'KILL'] as const;

/** Runs a program to its end and resolves whatever its status was. */
export function runCommand(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  // The environment is added to, never replaced: it carries what the kernel rig's guest needs.
  const spawnOptions: SpawnOptions = { env: { ...process.env, ...options.env } };
  if (options.cwd !== undefined) spawnOptions.cwd = options.cwd;
  const timeoutMs = options.timeoutMs ?? 600_000;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, spawnOptions);
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
      child.stdout?.destroy();
      child.stderr?.destroy();
    }, timeoutMs);
    child.stdout?.on('data', (data: Buffer) => stdout.push(data));
    child.stderr?.on('data', (data: Buffer) => stderr.push(data));
    child.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      const result = {
        status,
        signal,
        stdout: Buffer.concat(stdout),
        stderr: Buffer.concat(stderr).toString(),
      };
      if (timedOut) reject(commandError(`no end after ${timeoutMs} ms`, program, args, result));
      else resolve(result);
    });
    child.stdin?.on('error', () => {}); // a program may end without reading its input
    child.stdin?.end(options.input ?? '');
  });
}

/** Runs a program that must succeed; resolves its standard output without the last newline. */
export async function mustRun(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<string> {
  const result = await runCommand(program, args, options);
  if (result.status !== 0) {
    throw commandError(`exit status ${result.status ?? result.signal}`, program, args, result);
  }
  return result.stdout.toString().replace(/\n$/, '');
}

function commandError(
  what: string,
  program: string,
  args: readonly string[],
  result: CommandResult,
): Error {
  const output = `${result.stdout.subarray(-4000)}${result.stderr.slice(-4000)}`;
  return new Error(`${[program, ...args].join(' ')}: ${what}\n${output}`);
}

/** Kills a process of ours; it has closed its files then. */
export async function endProcess(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}
