import { fstatSync } from 'node:fs';
import { isatty } from 'node:tty';

/** Standard error as several write to it: lines that stay, and below them one that is drawn anew. */
export interface Screen {
  /** Writes text that stays. */
  write(text: string | Uint8Array): void;
  /** Something else is written to the terminal by `print`. */
  aside(print: () => void): void;
  /** Whether a line can be drawn that does not stay. */
  readonly canDraw: boolean;
  readonly columns: number;
  /** Draws the last line anew; nothing for an empty one. */
  draw(line: string): void;
  /** Draws nothing until it is resumed: a question stands there. */
  pause(): void;
  resume(): void;
}

const USUAL_COLUMNS = 80;
const NEWLINE = 0x0a;
const STDERR_FD = 2;

/** @param output standard error unless given, which Node makes only when it is asked for */
export function createScreen(output?: NodeJS.WriteStream): Screen {
  const stderr = () => output ?? process.stderr;
  const isTerminal = output === undefined ? isStderrTerminal() : output.isTTY === true;
  /** What is to be seen, and what is drawn of it. */
  let line = '';
  let drawn = '';
  let isPaused = false;
  /** What was written last has no line end yet: nothing may be drawn behind it. */
  let isMidLine = false;

  const columns = () => stderr().columns || USUAL_COLUMNS;

  function erase(): void {
    if (drawn === '') return;
    // A terminal that has become narrower shows it as several lines.
    const rows = Math.ceil(drawn.length / columns());
    stderr().write(rows > 1 ? `\r\x1b[${rows - 1}A\x1b[J` : '\r\x1b[K');
    drawn = '';
  }

  function redraw(): void {
    if (isPaused || isMidLine || line === drawn) return;
    if (line === '' || drawn.length > columns()) erase();
    if (line !== '') stderr().write(drawn === '' ? line : `\r${line}\x1b[K`);
    drawn = line;
  }

  return {
    write(text) {
      if (text.length === 0) return;
      erase();
      stderr().write(text);
      isMidLine = typeof text === 'string' ? !text.endsWith('\n') : text.at(-1) !== NEWLINE;
      redraw();
    },
    aside(print) {
      erase();
      print();
      redraw();
    },
    canDraw: isTerminal && process.env.TERM !== 'dumb',
    get columns() {
      return columns();
    },
    draw(next) {
      line = next;
      redraw();
    },
    pause() {
      isPaused = true;
      erase();
    },
    resume() {
      isPaused = false;
      redraw();
    },
  };
}

/** Asked only where it may be one: `node:tty` loads all of `node:net`. */
function isStderrTerminal(): boolean {
  return fstatSync(STDERR_FD).isCharacterDevice() && isatty(STDERR_FD);
}
