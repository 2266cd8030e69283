/** The result of a run for scripts, as docs/json.md has it. */
import { EXIT, type ExitCode, LvmsyncError } from '../errors.js';
import type { ExtentSource } from '../extents/extents.js';
import { JSON_VERSION } from './json-lines.js';

/** What a command has to say of its result. */
export interface RunResult {
  fields: Readonly<Record<string, unknown>>;
  /** Becomes the field `ranges`: there may be millions of them. */
  ranges?: ExtentSource;
}

export interface EndedRun {
  command: string;
  exit: ExitCode;
  seconds: number;
  /** Missing where the run failed before it had one. */
  result: RunResult | undefined;
  /** What it failed with. */
  error?: unknown;
}

/** One line of JSON, in parts. */
export function* resultJson(run: EndedRun): Generator<string> {
  const { command, exit, seconds, result, error } = run;
  const text = JSON.stringify({
    version: JSON_VERSION,
    command,
    ok: exit === EXIT.success,
    exit,
    seconds: Math.round(seconds * 1000) / 1000,
    ...(error !== undefined && failureFields(error)),
    ...result?.fields,
  });
  if (result?.ranges === undefined) {
    yield `${text}\n`;
    return;
  }
  yield `${text.slice(0, -1)},"ranges":[`;
  yield* rangesJson(result.ranges);
  yield ']}\n';
}

function* rangesJson(extents: ExtentSource): Generator<string> {
  let separator = '';
  for (const { count, offsets, lengths } of extents.slices()) {
    let text = '';
    for (let i = 0; i < count; i++) {
      text += `${separator}[${offsets[i]},${lengths[i]}]`;
      separator = ',';
    }
    yield text;
  }
}

function failureFields(error: unknown): Record<string, unknown> {
  if (error instanceof LvmsyncError) {
    const { code, message, hint, path, offset, errno } = error;
    return { code, message, hint, path, offset, errno };
  }
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) };
}
