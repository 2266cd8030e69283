import { type EndedRun, LvmsyncError, type RunResult, resultJson } from '../index.js';
import { printText } from './print.js';
import { createScreen, type Screen } from './screen.js';

/** What the user reads; all of it on standard error, since standard output may be a stream. */
export interface Reporter {
  /** Shown unless `--quiet`. */
  say(line: string): void;
  /** Shown with `--verbose` or `--debug`. */
  note(line: string): void;
  /** Something to know about that does not stop the run; shown unless `--quiet`. */
  warn(line: string): void;
  failure(error: unknown): void;
  /**
   * What the run has come to: lines for people, unless `--quiet`, or with `--json` the same for
   * scripts, printed when the run has ended.
   */
  summary(lines: readonly string[], result: RunResult): void;
  /** To be called at the very end: prints the result as JSON, if that was asked for. */
  ended(run: Omit<EndedRun, 'result'>): void;
  /** Prints lines on standard output that are what was asked for. */
  output(text: string): void;
  /** From here on a failure is shown with `--verbose` only: the other end shows it. */
  hushFailure(): void;
  /** What the far side printed. */
  relay(chunk: Buffer): void;
}

export interface ReporterOptions {
  quiet?: true;
  verbose?: true;
  debug?: true;
  json?: true;
}

export function createReporter(
  { quiet, verbose, debug, json }: ReporterOptions,
  screen: Screen = createScreen(),
): Reporter {
  const print = (line: string) => screen.write(`${line}\n`);
  const nothing = () => {};
  let hushed = false;
  let result: RunResult | undefined;
  const output = (text: string) => screen.aside(() => printText(text));
  return {
    say: quiet ? nothing : print,
    note: verbose || debug ? print : nothing,
    warn: quiet ? nothing : (line) => print(`WARNING: ${line}`),
    hushFailure() {
      hushed = !(verbose || debug);
    },
    failure(error) {
      if (hushed) return;
      if (!(error instanceof LvmsyncError)) {
        print(`FATAL ERROR: internal error: ${error instanceof Error ? error.message : error}`);
        print('  This is an error in lvmsync: please report it, with the output of --debug.');
        if (debug && error instanceof Error) print(String(error.stack));
        return;
      }
      print(`FATAL ERROR: ${error.message}`);
      if (error.hint !== undefined) print(`  ${error.hint}`);
      if (debug) print(`  ${error.code}${error.cause ? `, from: ${error.cause}` : ''}`);
    },
    summary(lines, itsResult) {
      result = itsResult;
      if (!quiet && !json) for (const line of lines) print(line);
    },
    ended(run) {
      // Some commands print an answer of their own.
      if (!json || (result === undefined && run.error === undefined)) return;
      for (const part of resultJson({ ...run, result })) output(part);
    },
    output,
    relay: (chunk) => screen.write(withoutControl(chunk)),
  };
}

const TAB = 0x09;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const DELETE = 0x7f;

/** Another host's words must not move the cursor of this terminal. */
function withoutControl(chunk: Buffer): Uint8Array {
  return chunk.map((byte) => {
    const control = byte < SPACE || byte === DELETE;
    return control && byte !== TAB && byte !== NEWLINE ? SPACE : byte;
  });
}
