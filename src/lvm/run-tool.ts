import { spawn } from 'node:child_process';
import { LvmsyncError } from '../errors.js';

/** The programs that tell about volumes or change them, and the Debian packages they come in. */
const PACKAGES = {
  lvs: 'lvm2',
  vgs: 'lvm2',
  lvcreate: 'lvm2',
  lvremove: 'lvm2',
  lvextend: 'lvm2',
  lvchange: 'lvm2',
  dmsetup: 'dmsetup',
  thin_delta: 'thin-provisioning-tools',
  fsfreeze: 'util-linux',
};

export type Tool = keyof typeof PACKAGES;

/** The Debian package that a program comes in. */
export function packageOf(tool: Tool): string {
  return PACKAGES[tool];
}

export interface ToolOutput {
  /** Exit status; what was printed may be good even when it is not 0. */
  status: number;
  stdout: string;
  stderr: string;
}

export interface StreamToolOptions {
  /** Told what the program prints, as it comes; what it throws ends the program and the call. */
  onOutput(chunk: Buffer): void;
  /** Ends the program. */
  signal?: AbortSignal | undefined;
  /** Ends the program after that long; never by default. */
  timeLimitMs?: number;
}

const TIME_LIMIT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 2 ** 20;
const MAX_ERROR_BYTES = 64 * 2 ** 10;

/**
 * Runs one of LVM's programs to its end.
 *
 * @throws LvmsyncError TOOL_MISSING; TOOL_FAILED when it cannot be started or does not end
 */
export async function runTool(tool: Tool, args: readonly string[]): Promise<ToolOutput> {
  const chunks: Buffer[] = [];
  let size = 0;
  const onOutput = (chunk: Buffer) => {
    size += chunk.length;
    if (size > MAX_OUTPUT_BYTES)
      throw runError(tool, `printed more than ${MAX_OUTPUT_BYTES} bytes`);
    chunks.push(chunk);
  };
  const end = await streamTool(tool, args, { onOutput, timeLimitMs: TIME_LIMIT_MS });
  return { ...end, stdout: Buffer.concat(chunks).toString() };
}

/**
 * Runs a program that prints more than should be kept.
 *
 * @throws LvmsyncError TOOL_MISSING; TOOL_FAILED when it cannot be started or was killed;
 *   INTERRUPTED; what `onOutput` throws
 */
export function streamTool(
  tool: Tool,
  args: readonly string[],
  { onOutput, signal, timeLimitMs }: StreamToolOptions,
): Promise<Pick<ToolOutput, 'status' | 'stderr'>> {
  const env = {
    ...process.env,
    LC_ALL: 'C',
    LVM_SUPPRESS_FD_WARNINGS: '1',
    // A user's shell, or one that sshd started, may not look where the tools are.
    PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`,
  };
  return new Promise((resolve, reject) => {
    // In a process group of its own: an interrupt from the terminal is this process's to handle.
    const child = spawn(tool, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
    let stderr = '';
    let failure: unknown;
    const end = (reason: unknown) => {
      failure ??= reason;
      const hasEnded = child.exitCode !== null || child.signalCode !== null;
      if (child.pid !== undefined && !hasEnded) killGroup(child.pid);
    };
    const interrupt = () => end(interruptedError(tool));
    if (signal?.aborted) interrupt();
    signal?.addEventListener('abort', interrupt, { once: true });
    const timer =
      timeLimitMs === undefined
        ? undefined
        : setTimeout(
            () => end(runError(tool, `did not end within ${timeLimitMs / 1000} s`)),
            timeLimitMs,
          );
    child.stdout.on('data', (chunk: Buffer) => {
      if (failure !== undefined) return;
      try {
        onOutput(chunk);
      } catch (error) {
        end(error);
      }
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (stderr.length < MAX_ERROR_BYTES) stderr += chunk.toString();
    });
    child.on('error', (cause) => {
      failure ??= startError(tool, cause);
    });
    child.on('close', (status, killedBy) => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', interrupt);
      if (failure !== undefined) reject(failure);
      else if (status === null) reject(runError(tool, `was killed by ${killedBy}`));
      else resolve({ status, stderr });
    });
  });
}

/** With what it may have started itself: that would keep the pipes open. */
function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it has ended just now
  }
}

function startError(tool: Tool, cause: Error & { code?: unknown }): LvmsyncError {
  if (cause.code !== 'ENOENT') return runError(tool, 'could not be run', cause);
  return new LvmsyncError('TOOL_MISSING', `the program ${tool} is not there`, {
    errno: 'ENOENT',
    hint: `install it (on Debian: apt install ${PACKAGES[tool]})`,
    cause,
  });
}

function runError(tool: Tool, what: string, cause?: Error): LvmsyncError {
  return new LvmsyncError('TOOL_FAILED', `${tool} ${what}`, {
    hint: `run it by hand and see what it waits for`,
    ...(cause !== undefined && { cause }),
  });
}

function interruptedError(tool: Tool): LvmsyncError {
  return new LvmsyncError('INTERRUPTED', `interrupted while ${tool} was running`, {
    hint: 'nothing has been changed; run the same command again',
  });
}

/** An error that carries what the program had to say. */
export function toolError(
  tool: Tool,
  { status, stderr }: Omit<ToolOutput, 'stdout'>,
): LvmsyncError {
  const words = firstLine(stderr) ?? `exit status ${status}`;
  const isRoot = process.geteuid?.() === 0;
  return new LvmsyncError('TOOL_FAILED', `${tool} failed: ${words}`, {
    hint: isRoot ? `run ${tool} by hand to see more` : 'run lvmsync as root',
  });
}

export function firstLine(text: string): string | undefined {
  const lines = text.split('\n').map((line) => line.trim());
  return lines.find((line) => line !== '' && !line.startsWith('WARNING:'));
}
