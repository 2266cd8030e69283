import { LvmsyncError } from '../index.js';

/** What the user reads; all of it on standard error, since standard output may be a stream. */
export interface Reporter {
  /** Shown unless `--quiet`. */
  say(line: string): void;
  /** Shown with `--verbose` or `--debug`. */
  note(line: string): void;
  /** Something to know about that does not stop the run; shown unless `--quiet`. */
  warn(line: string): void;
  failure(error: unknown): void;
  /** From here on a failure is shown with `--verbose` only: the other end shows it. */
  hushFailure(): void;
  /** What the far side printed. */
  relay(chunk: Buffer): void;
}

export interface ReporterOptions {
  quiet?: true;
  verbose?: true;
  debug?: true;
}

export function createReporter({ quiet, verbose, debug }: ReporterOptions): Reporter {
  const print = (line: string) => {
    process.stderr.write(`${line}\n`);
  };
  const nothing = () => {};
  let hushed = false;
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
    relay: (chunk) => {
      process.stderr.write(withoutControl(chunk));
    },
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
