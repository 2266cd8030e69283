import { appendFileSync } from 'node:fs';
import { inspect } from 'node:util';

/** What the guest tells the host of its top-level tests, one JSON object a line. */
export type GuestEvent =
  | { type: 'listed'; name: string }
  | { type: 'started'; name: string }
  | { type: 'ended'; name: string; skipped?: string; error?: GuestError };

export interface GuestError {
  message: string;
  /** Name, message and stack, as Node prints them. */
  text: string;
}

/** The parts of node:test's reporter events that are used here. */
interface RunnerEvent {
  type: string;
  data: {
    name: string;
    nesting: number;
    skip?: string | boolean;
    todo?: string | boolean;
    details?: { type?: string; error?: Error };
  };
}

/**
 * A reporter for `node --test-reporter`: appends GuestEvents to the file that LVMSYNC_KERNEL_EVENTS
 * names, each before the next is looked at, since the guest's kernel may die of what the test does.
 */
export default async function* report(source: AsyncIterable<RunnerEvent>): AsyncGenerator<string> {
  const file = process.env.LVMSYNC_KERNEL_EVENTS;
  if (file === undefined) throw new Error('LVMSYNC_KERNEL_EVENTS names no file');
  for await (const { type, data } of source) {
    if (data.nesting !== 0) continue; // a failed subtest fails the test it is in
    const event = guestEvent(type, data);
    if (event !== undefined) appendFileSync(file, `${JSON.stringify(event)}\n`);
    yield ''; // a reporter is a generator of what to print; this one prints nothing
    yield ''; // a reporter is a generator of what to print; this one prints nothing
  }
}

function guestEvent(type: string, data: RunnerEvent['data']): GuestEvent | undefined {
  const { name } = data;
  if (type === 'test:enqueue') return { type: 'listed', name };
  if (type === 'test:dequeue') return { type: 'started', name };
  if (type !== 'test:pass' && type !== 'test:fail') return undefined;
  if (data.details?.type === 'suite') {
    const message = 'kernel tests are plain test() calls: a suite would not be counted';
    return { type: 'ended', name, error: { message, text: message } };
  }
  if (data.skip !== undefined && data.skip !== false) {
    return {
      type: 'ended',
      name,
      skipped: data.skip === true ? '' : data.skip || 'no reason given',
    };
  }
  if (type === 'test:pass') return { type: 'ended', name };
  const error = data.details?.error;
  const cause = error?.cause instanceof Error ? error.cause : error;
  return {
    type: 'ended',
    name,
    error: { message: cause?.message ?? 'failed', text: inspect(cause ?? error) },
  };
}
