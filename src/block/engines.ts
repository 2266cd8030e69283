import type { Engine } from './engine.js';
import { createJsEngine } from './js-engine.js';

export type EngineChoice = 'auto' | 'native' | 'js';

/** An engine and, when it is not the one that was hoped for, why (one line, for -v). */
export interface LoadedEngine {
  engine: Engine;
  note: string | undefined;
}

/** The engine to use. */
export function loadEngine(_choice: EngineChoice): LoadedEngine {
  return { engine: createJsEngine(), note: undefined };
}
