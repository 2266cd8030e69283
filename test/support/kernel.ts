import { spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readSync,
} from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { beforeEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { GuestError, GuestEvent } from './kernel-reporter.js';
import { repositoryRoot } from './repository.js';

export interface KernelOptions {
  /** Sizes of blank disks, such as `256M`; the tests get their paths in this order. */
  disks?: string[];
  /** Kernel modules beyond those scripts/kernel/guest-init loads. */
  modules?: string[];
  /** The guest's memory; everything its tests write to files is in it. Default 2G. */
  memory?: string;
  /** The guest, taken for hung, is killed after that long; default 1800: slow machines exist. */
  timeoutSeconds?: number;
}

/** Whether this process runs in the guest, where anything may be done to devices and networks. */
export const inGuest = process.env.LVMSYNC_KERNEL_GUEST === '1';

/**
 * Runs a file's tests under the kernel rig. On the host it boots one guest, runs the file in it,
 * and has one test for every test of the guest's, with the same name, outcome and time, so that
 * the runner's count is the true one. `define` is called in the guest only; its tests must be plain
 * test() calls with names of their own.
 */
export function kernelTests(
  fileUrl: string,
  options: KernelOptions,
  define: (disks: string[]) => void,
): void {
  if (inGuest) {
    beforeEach(() => sleep(5)); // for the reporter: a test that kills the guest has then been named
    define((options.disks ?? []).map((_, index) => `/dev/ubd${String.fromCharCode(97 + index)}`));
    return;
  }
  const file = fileURLToPath(fileUrl);
  const reason = whyNotHere();
  if (reason === undefined) void runGuest(file, options);
  else test(`kernel tests of ${basename(file)}`, { skip: reason }, () => {});
}

function whyNotHere(): string | undefined {
  if (process.getuid?.() !== 0) return 'the kernel rig needs root';
  if (!existsSync('/usr/bin/linux.uml')) return 'the kernel rig needs the package user-mode-linux';
  return undefined;
}

/** One test of the guest's, and the end that its counterpart on the host waits for. */
interface GuestTest {
  end(skipped: string | undefined, error: GuestError | undefined): void;
}

async function runGuest(file: string, options: KernelOptions): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'lvmsync-kernel-test-'));
  const eventsFile = join(directory, 'events');
  await writeFile(eventsFile, '');

  const listed = new Set<string>();
  const running = new Map<string, GuestTest>();
  const ended = new Set<string>();
  let failures = 0;

  const publish = (name: string) => {
    let end: GuestTest['end'] = () => {};
    const finished = new Promise<{ skipped?: string | undefined; error?: GuestError | undefined }>(
      (resolve) => {
        end = (skipped, error) => resolve({ skipped, error });
      },
    );
    running.set(name, { end });
    test(name, async (context) => {
      const { skipped, error } = await finished;
      if (skipped !== undefined) context.skip(skipped);
      if (error !== undefined) throw asError(error);
    });
  };
  const finish = (name: string, skipped?: string, error?: GuestError) => {
    if (!running.has(name)) publish(name);
    running.get(name)?.end(skipped, error);
    running.delete(name);
    ended.add(name);
    if (error !== undefined) failures++;
  };
  const fail = (name: string, message: string) =>
    finish(name, undefined, { message, text: message });
  const accept = (event: GuestEvent) => {
    if (event.type === 'listed') {
      if (listed.has(event.name))
        fail(`one name, one test: ${event.name}`, 'the name is used twice');
      listed.add(event.name);
    } else if (event.type === 'started') publish(event.name);
    else finish(event.name, event.skipped, event.error);
  };

  const events = openSync(eventsFile, 'r');
  const readEvents = lineReader(events, (line) => accept(JSON.parse(line) as GuestEvent));
  const timer = setInterval(readEvents, 50);
  const guest = await bootGuest(file, directory, eventsFile, options);
  clearInterval(timer);
  readEvents();
  closeSync(events);
  keepMatrixRows(join(directory, MATRIX), basename(file));
  await rm(directory, { recursive: true, force: true });

  // Nothing the guest began or promised may vanish.
  const died = `the guest ended with status ${guest.status} before this test did\n${guest.output}`;
  for (const name of [...running.keys()]) fail(name, died);
  for (const name of listed) {
    if (!ended.has(name)) fail(name, `listed, but never run: ${died}`);
  }
  if (listed.size === 0) {
    fail(`${basename(file)} has tests`, `the guest reported none\n${guest.output}`);
  } else if (guest.status !== 0 && failures === 0) {
    fail(`${basename(file)} ends well`, `all tests passed, but ${died}`);
  }
}

/** Rows of the fault matrix are written by tests that may run here or in a guest. */
const MATRIX = 'matrix';

/** Puts the guest's rows to those that were written here (test/fault/matrix.ts). */
function keepMatrixRows(guestDirectory: string, file: string): void {
  if (!existsSync(guestDirectory)) return;
  const directory = process.env.LVMSYNC_MATRIX_DIR ?? join(tmpdir(), 'lvmsync-matrix');
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(guestDirectory)) {
    copyFileSync(join(guestDirectory, name), join(directory, `${file}-${process.pid}-${name}`));
  }
}

function asError({ message, text }: GuestError): Error {
  const error = new Error(message);
  error.stack = text;
  return error;
}

/** Returns a function that hands out the lines a file has got since its last call. */
function lineReader(fd: number, onLine: (line: string) => void): () => void {
  const buffer = Buffer.alloc(65536);
  let pending = Buffer.alloc(0);
  return () => {
    for (let count = readSync(fd, buffer); count > 0; count = readSync(fd, buffer)) {
      pending = Buffer.concat([pending, buffer.subarray(0, count)]);
      for (let end = pending.indexOf(10); end >= 0; end = pending.indexOf(10)) {
        onLine(pending.subarray(0, end).toString());
        pending = pending.subarray(end + 1);
      }
    }
  };
}

/** Resolves when the guest is gone, with the end of what it, or the rig, printed. */
function bootGuest(
  file: string,
  directory: string,
  eventsFile: string,
  options: KernelOptions,
): Promise<{ status: number; output: string }> {
  const args = [
    ...(options.disks ?? []).flatMap((size) => ['--disk', size]),
    ...(options.modules ?? []).flatMap((name) => ['--module', name]),
    ...['--mem', options.memory ?? '2G', '--timeout', String(options.timeoutSeconds ?? 1800)],
    ...['--out', directory, '--', process.execPath],
    `--test-reporter=${fileURLToPath(new URL('kernel-reporter.js', import.meta.url))}`,
    '--test-reporter-destination=stdout',
    file,
  ];
  // Set by `node --test` for its own children, it would make the guest's Node report to nobody.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  return new Promise((resolve) => {
    const rig = spawn(join(repositoryRoot, 'scripts', 'kernel', 'run'), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        ...env,
        LVMSYNC_KERNEL_EVENTS: eventsFile,
        LVMSYNC_MATRIX_DIR: join(directory, MATRIX),
      },
    });
    let output = '';
    for (const stream of [rig.stdout, rig.stderr]) {
      stream.on('data', (data: Buffer) => {
        output = `${output}${data}`.slice(-16_384);
      });
    }
    rig.stdout.pipe(process.stdout, { end: false });
    rig.stderr.pipe(process.stderr, { end: false });
    const stop = () => rig.kill('SIGTERM');
    process.once('SIGTERM', stop);
    process.once('exit', stop);
    rig.on('error', (error) => resolve({ status: 125, output: error.message }));
    rig.on('close', (status) => {
      process.off('SIGTERM', stop);
      process.off('exit', stop);
      resolve({ status: status ?? 125, output });
    });
  });
}
