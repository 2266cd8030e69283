/** What a command answers, on standard output; what it has to say goes to standard error. */
import { writeSync } from 'node:fs';

const STDOUT_FD = 1;

/** Standard output may be a pipe that takes a part at a time. */
export function printText(text: string): void {
  const bytes = Buffer.from(text);
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(STDOUT_FD, bytes, written);
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'EAGAIN') return;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

/** One line of JSON; docs/json.md has the fields. */
export function printJson(answer: object): void {
  printText(`${JSON.stringify(answer)}\n`);
}
