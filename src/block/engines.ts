import { LvmsyncError } from '../errors.js';
import type { Engine } from './engine.js';
import { createJsEngine } from './js-engine.js';
import { createNativeEngine } from './native-engine.js';

export type EngineChoice = 'auto' | 'native' | 'js';

export interface LoadedEngine {
  engine: Engine;
  /** Why `auto` did not take the native engine, in one line for -v; undefined when it did. */
  note: string | undefined;
}

/**
 * The engine to use: `auto` takes native when it loads, and js otherwise.
 *
 * @throws LvmsyncError ENGINE_UNAVAILABLE when `native` was asked for and does not load
 */
export function loadEngine(choice: EngineChoice): LoadedEngine {
  if (choice === 'js') return { engine: createJsEngine(), note: undefined };
  try {
    return { engine: createNativeEngine(), note: undefined };
  } catch (cause) {
    const reason = firstLine(cause);
    if (choice === 'auto') {
      return { engine: createJsEngine(), note: `the native engine does not load: ${reason}` };
    }
    throw new LvmsyncError('ENGINE_UNAVAILABLE', `the native engine does not load: ${reason}`, {
      cause,
      hint: 'build it with `npm run build:native`, or use --engine js',
    });
  }
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0] ?? '';
}
