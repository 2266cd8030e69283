import { LvmsyncError } from '../errors.js';
import type { Engine } from './engine.js';
import { completeLimits, type IoLimits } from './io-limits.js';
import { createJsEngine } from './js-engine.js';
import { createNativeEngine, type IoChoice } from './native-engine.js';

export type EngineChoice = 'auto' | 'native' | 'js';

export interface LoadedEngine {
  engine: Engine;
  /** Why `auto` did not take the native engine, or that no io_uring, in one line for -v. */
  note: string | undefined;
}

export interface EngineOptions extends Partial<IoLimits> {
  /**
   * What the native engine works with; the environment variable LVMSYNC_IO says it where nobody
   * else does.
   */
  io?: IoChoice | undefined;
}

const IO_CHOICES: readonly string[] = ['auto', 'io_uring', 'threads'] satisfies IoChoice[];

/**
 * The engine to use: `auto` takes native when it loads, and js otherwise.
 *
 * @throws LvmsyncError ENGINE_UNAVAILABLE when `native` was asked for and does not load, or not with
 *   what `io` asks for; USAGE when LVMSYNC_IO is none of the choices, or a limit out of its range
 */
export function loadEngine(choice: EngineChoice, options: EngineOptions = {}): LoadedEngine {
  const limits = completeLimits(options);
  if (choice === 'js') return { engine: createJsEngine(limits), note: undefined };
  const { io = ioOfEnvironment() } = options;
  try {
    return createNativeEngine(io, limits);
  } catch (cause) {
    const reason = firstLine(cause);
    if (choice === 'auto') {
      return {
        engine: createJsEngine(limits),
        note: `the native engine is not available: ${reason}`,
      };
    }
    throw new LvmsyncError('ENGINE_UNAVAILABLE', `the native engine is not available: ${reason}`, {
      cause,
      hint: 'use --engine js, or build the addon for this machine: see docs/install.md',
    });
  }
}

function ioOfEnvironment(): IoChoice {
  const value = process.env.LVMSYNC_IO ?? 'auto';
  if (isIoChoice(value)) return value;
  throw new LvmsyncError('USAGE', `LVMSYNC_IO is ${JSON.stringify(value)}`, {
    hint: `set it to one of ${IO_CHOICES.join(', ')}, or unset it`,
  });
}

function isIoChoice(value: string): value is IoChoice {
  return IO_CHOICES.includes(value);
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0] ?? '';
}
