/** Commands of the user's own, which are shell command lines: at the ends of a migration. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from '../block/errno.js';
import { LvmsyncError } from '../errors.js';
import { passOn } from '../stream/bytes.js';
import type { Transport } from './channel.js';

/** Told what the command prints, on either of its outputs. */
type OnOutput = (chunk: Buffer) => void;

/** How long after its end what it has printed may take to arrive, in milliseconds. */
const LAST_WORDS_MS = 500;

/** Runs it with `/bin/sh -c`, with nothing on standard input. @throws LvmsyncError COMMAND_FAILED */
export async function runHere(line: string, onOutput: OnOutput): Promise<void> {
  const child = spawn('/bin/sh', ['-c', line], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.on('data', onOutput);
  child.stderr.on('data', onOutput);
  const closed = once(child, 'close').catch(() => undefined);
  const [status, signal] = await once(child, 'exit').catch((cause: Error) => {
    throw failed(line, `could not be run: ${reasonOf(cause).words}`);
  });
  // A service that it has started may keep its outputs open for ever.
  await Promise.race([closed, delay(LAST_WORDS_MS, undefined, { ref: false })]);
  child.stdout.destroy();
  child.stderr.destroy();
  if (status !== 0) throw failed(line, ended(status, signal));
}

/** Runs it in the login shell of the other host. @throws LvmsyncError COMMAND_FAILED; CONNECT_FAILED and its kin */
export async function runThere(
  transport: Transport,
  line: string,
  onOutput: OnOutput,
): Promise<void> {
  const channel = await transport.runShell(line, onOutput);
  const passed = passOn(channel.answers, onOutput).catch(() => {}); // its end says why
  channel.input.end();
  const { status, signal, error } = await channel.end;
  await Promise.race([passed, delay(LAST_WORDS_MS, undefined, { ref: false })]);
  channel.destroy();
  if (error !== undefined) throw error;
  if (status !== 0) throw failed(line, `${ended(status, signal)} on ${channel.description}`);
}

function ended(status: unknown, signal: unknown): string {
  return status === null ? `was ended by ${signal}` : `ended with exit status ${status}`;
}

function failed(line: string, what: string): LvmsyncError {
  return new LvmsyncError('COMMAND_FAILED', `the command "${line}" ${what}`, {
    hint: 'what it printed says why',
  });
}
