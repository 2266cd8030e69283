import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** One shell for many short commands: starting each from Node costs more than they do. */
export interface Shell {
  /** Runs a command line that must succeed. */
  run(commandLine: string): Promise<void>;
  end(): void;
}

export function startShell(): Shell {
  const child = spawn('sh', [], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async run(commandLine) {
      child.stdin.write(`${commandLine} >&2 </dev/null; echo $?\n`);
      const { value, done } = await lines.next();
      if (done || value !== '0') throw new Error(`${commandLine}: exit status ${value}`);
    },
    end: () => child.stdin.end(),
  };
}
