import { execFile } from 'node:child_process';
import { LvmsyncError } from '../errors.js';

/** The programs that tell about volumes, and the Debian packages they come in. */
const PACKAGES = { lvs: 'lvm2', dmsetup: 'dmsetup' };

export type Tool = keyof typeof PACKAGES;

export interface ToolOutput {
  /** Exit status; what was printed may be good even when it is not 0. */
  status: number;
  stdout: string;
  stderr: string;
}

const TIME_LIMIT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 2 ** 20;

/**
 * Runs one of LVM's programs to its end.
 *
 * @throws LvmsyncError TOOL_MISSING; TOOL_FAILED when it cannot be started or does not end
 */
export function runTool(tool: Tool, args: readonly string[]): Promise<ToolOutput> {
  const env = {
    ...process.env,
    LC_ALL: 'C',
    LVM_SUPPRESS_FD_WARNINGS: '1',
    // A user's shell, or one that sshd started, may not look where the tools are.
    PATH: `${process.env.PATH ?? ''}:/usr/sbin:/sbin`,
  };
  const options = {
    env,
    timeout: TIME_LIMIT_MS,
    maxBuffer: MAX_OUTPUT_BYTES,
    killSignal: 'SIGKILL',
  } as const;
  return new Promise((resolve, reject) => {
    execFile(tool, args, options, (error, stdout, stderr) => {
      const code = error?.code;
      if (error === null) resolve({ status: 0, stdout, stderr });
      else if (typeof code === 'number') resolve({ status: code, stdout, stderr });
      else reject(startError(tool, error));
    });
  });
}

function startError(tool: Tool, error: Error & { code?: unknown; killed?: boolean }): LvmsyncError {
  if (error.code === 'ENOENT') {
    return new LvmsyncError('TOOL_MISSING', `the program ${tool} is not there`, {
      errno: 'ENOENT',
      hint: `install it (on Debian: apt install ${PACKAGES[tool]})`,
      cause: error,
    });
  }
  const what = error.killed ? `did not end within ${TIME_LIMIT_MS / 1000} s` : 'could not be run';
  return new LvmsyncError('TOOL_FAILED', `${tool} ${what}`, {
    hint: `run it by hand and see what it waits for`,
    cause: error,
  });
}

/** An error that carries what the program had to say. */
export function toolError(tool: Tool, { status, stderr }: ToolOutput): LvmsyncError {
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
