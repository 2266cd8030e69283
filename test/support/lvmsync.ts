import assert from 'node:assert/strict';
import { type CommandOptions, type CommandResult, runCommand } from './command.js';
import { lvmsyncPath } from './repository.js';

/** Runs the real command line of this checkout. */
export function lvmsync(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  return runCommand(process.execPath, [lvmsyncPath, ...args], options);
}

/** Runs it and expects success. */
export async function lvmsyncOk(
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await lvmsync(args, options);
  assert.equal(result.status, 0, `lvmsync ${args.join(' ')}: ${result.stderr}`);
  return result;
}

/** Runs it and expects the exit status, and one line that says why and no stack trace. */
export async function lvmsyncFails(
  args: readonly string[],
  status: number,
  message: RegExp,
  options: CommandOptions = {},
): Promise<CommandResult> {
  const result = await lvmsync(args, options);
  assert.equal(result.status, status, `lvmsync ${args.join(' ')}: ${result.stderr}`);
  assert.match(result.stderr, message);
  assert.doesNotMatch(result.stderr, /^\s+at /m, 'a stack trace');
  return result;
}
