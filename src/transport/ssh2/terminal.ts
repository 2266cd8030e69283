import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { ReadStream } from 'node:tty';
import { LvmsyncError } from '../../errors.js';

/** Asks the person at the terminal. */
export interface Terminal {
  /** The answer without its line end. @throws LvmsyncError INTERRUPTED on Ctrl-C or Ctrl-D */
  ask(question: string, echo: 'shown' | 'hidden'): Promise<string>;
}

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const CTRL_U = 0x15;
const BACKSPACE = 0x08;
const DELETE = 0x7f;

/**
 * The controlling terminal, whatever standard input and output are; `undefined` without one, as
 * under cron. Nothing stays open between questions.
 */
export function openTerminal(): Terminal | undefined {
  try {
    closeSync(openTty());
  } catch {
    return undefined;
  }
  let queue: Promise<unknown> = Promise.resolve();
  return {
    ask(question, echo) {
      const answer = queue.then(() => askOnce(question, echo));
      queue = answer.catch(() => {});
      return answer;
    },
  };
}

let beforeQuestion = () => {};
let afterQuestion = () => {};

/** Told when a question stands on the terminal, and when it does not any more: it is the only one. */
export function onQuestions(before: () => void, after: () => void): void {
  beforeQuestion = before;
  afterQuestion = after;
}

function openTty(): number {
  return openSync('/dev/tty', constants.O_RDWR | constants.O_NOCTTY);
}

async function askOnce(question: string, echo: 'shown' | 'hidden'): Promise<string> {
  const fd = openTty();
  // The stream closes the descriptor. In raw mode nothing is echoed, and signals come as bytes.
  const input = new ReadStream(fd);
  input.setRawMode(true);
  beforeQuestion();
  writeSync(fd, question);
  try {
    const typed: number[] = [];
    for await (const chunk of input.iterator({ destroyOnReturn: false })) {
      for (const byte of chunk as Buffer) {
        if (byte === 0x0d || byte === 0x0a) return Buffer.from(typed).toString();
        if (byte === CTRL_C || (byte === CTRL_D && typed.length === 0)) throw interrupted();
        edit(typed, byte);
        if (echo === 'shown') redraw(fd, question, typed);
      }
    }
    throw interrupted();
  } finally {
    input.setRawMode(false);
    writeSync(fd, '\r\n');
    input.destroy();
    afterQuestion();
  }
}

function edit(typed: number[], byte: number): void {
  if (byte === CTRL_U) typed.length = 0;
  else if (byte === BACKSPACE || byte === DELETE) {
    // A UTF-8 character may be several bytes: its continuation bytes are 0b10xxxxxx.
    while (((typed.pop() ?? 0) & 0xc0) === 0x80);
  } else if (byte >= 0x20) typed.push(byte);
}

function redraw(fd: number, question: string, typed: readonly number[]): void {
  const lastLine = question.slice(question.lastIndexOf('\n') + 1);
  writeSync(fd, `\r\x1b[K${lastLine}${Buffer.from(typed).toString()}`);
}

function interrupted(): LvmsyncError {
  return new LvmsyncError('INTERRUPTED', 'the question on the terminal was not answered', {
    hint: 'nothing has been changed: run the same command again',
  });
}
