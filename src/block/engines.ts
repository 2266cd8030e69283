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
  /** What encrypts SSH; where nobody says it, the environment variable LVMSYNC_SSH_CIPHER. */
  sshCipher?: SshCipherChoice | undefined;
}

/** `auto` is the native engine, as far as it can; `ssh2` the SSH library alone. */
export type SshCipherChoice = 'auto' | 'ssh2';

const IO_CHOICES = ['auto', 'io_uring', 'threads'] as const satisfies readonly IoChoice[];
const SSH_CIPHER_CHOICES = ['auto', 'ssh2'] as const satisfies readonly SshCipherChoice[];

/**
 * The engine to use: `auto` takes native when it loads, and js otherwise.
 *
 * @throws LvmsyncError ENGINE_UNAVAILABLE when `native` was asked for and does not load, or not with
 *   what `io` asks for; USAGE when LVMSYNC_IO or LVMSYNC_SSH_CIPHER is none of the choices, or a limit out of its
 *   range
 */
export function loadEngine(choice: EngineChoice, options: EngineOptions = {}): LoadedEngine {
  const limits = completeLimits(options);
  if (choice === 'js') return { engine: createJsEngine(limits), note: undefined };
  const { io = chosen('LVMSYNC_IO', IO_CHOICES) } = options;
  const { sshCipher = chosen('LVMSYNC_SSH_CIPHER', SSH_CIPHER_CHOICES) } = options;
  try {
    const loaded = createNativeEngine(io, limits);
    if (sshCipher === 'ssh2') delete loaded.engine.createSshSealer;
    return loaded;
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

/** What an environment variable says; the first of the choices where it says nothing. */
function chosen<Choice extends string>(
  variable: string,
  choices: readonly [Choice, ...Choice[]],
): Choice {
  const value = process.env[variable] ?? choices[0];
  const choice = choices.find((each) => each === value);
  if (choice !== undefined) return choice;
  throw new LvmsyncError('USAGE', `${variable} is ${JSON.stringify(value)}`, {
    hint: `set it to one of ${choices.join(', ')}, or unset it`,
  });
}

function firstLine(error: unknown): string {
  return String(error instanceof Error ? error.message : error).split('\n')[0] ?? '';
}
