import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { RunStatus } from '#lvmsync/report/run-status.js';
import { listRuns } from '#lvmsync/report/runs.js';
import { mustRun, runCommand } from '../support/command.js';
import { seededBytes } from '../support/devices.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import { lvmsyncPath } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const MIB = 1 << 20;
const ESCAPE = '\x1b';
const DATA_BYTES = 3 * MIB;
const ZERO_BYTES = 5 * MIB;
const content = Buffer.concat([seededBytes(1, 1, DATA_BYTES), Buffer.alloc(ZERO_BYTES)]);

const directory = temporaryDirectory();
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
process.env.LVMSYNC_RUN_DIR = join(directory, 'run');
const source = join(directory, 'source');
writeFileSync(source, content);

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

let count = 0;
function makeTarget(): string {
  const target = join(directory, `target${count++}`);
  writeFileSync(target, '');
  truncateSync(target, content.length);
  return target;
}

type Fields = Record<string, unknown>;

function parseLines(text: string): Fields[] {
  const lines = text.split('\n');
  assert.equal(lines.pop(), '', 'a last line that is whole');
  return lines.map((line) => JSON.parse(line) as Fields);
}

/** Runs lvmsync with descriptor 3 open on a file; resolves the lines in it. */
async function withThird(args: string[]): Promise<{ lines: Fields[]; stderr: string }> {
  const file = join(directory, `progress${count++}`);
  const script = ['-c', 'exec "$@" 3>"$0"', file, process.execPath, lvmsyncPath, ...args];
  const { status, stderr } = await runCommand('sh', script);
  assert.equal(status, 0, stderr);
  return { lines: parseLines(readFileSync(file, 'utf8')), stderr };
}

test('JSON lines on a descriptor tell every phase, and only ever go on', async () => {
  const target = makeTarget();
  const far = ['--ssh-config', sshd.configFile, `${sshd.alias}:${target}`];
  const { lines, stderr } = await withThird(['copy', '--progress-fd', '3', source, ...far]);
  assert.ok(readFileSync(target).equals(content));
  assert.ok(!stderr.includes('"type"'), stderr);
  const phases = lines.map(({ phase }) => phase);
  assert.deepEqual([...new Set(phases)], ['connect', 'check', 'send', 'flush']);
  for (const { version, type } of lines) assert.deepEqual([version, type], [1, 'progress']);
  for (const [i, line] of lines.entries()) {
    const { phase, doneBytes } = lines[i - 1] ?? {};
    if (phase === line.phase) assert.ok(Number(line.doneBytes) >= Number(doneBytes));
  }
  const { zeroBytes, streamBytes } = lines.at(-1) ?? {};
  assert.equal(zeroBytes, ZERO_BYTES);
  assert.ok(Number(streamBytes) > DATA_BYTES && Number(streamBytes) < DATA_BYTES + 65_536);
});

test('verify tells how much it has compared', async () => {
  const same = join(directory, 'same');
  writeFileSync(same, content);
  const { lines } = await withThird(['verify', '--progress-fd', '3', source, same]);
  assert.deepEqual([...new Set(lines.map(({ phase }) => phase))], ['scan', 'connect', 'verify']);
  const { doneBytes, totalBytes, percent } = lines.at(-1) ?? {};
  assert.deepEqual([doneBytes, totalBytes, percent], [content.length, content.length, 100]);
});

test('a descriptor that is not open is refused before anything is done', async () => {
  const target = makeTarget();
  for (const descriptor of ['3', '999']) {
    const args = ['copy', '--progress-fd', descriptor, source, target];
    await lvmsyncFails(args, 2, /--progress-fd \d+: no such descriptor is open/);
  }
  assert.ok(readFileSync(target).equals(Buffer.alloc(content.length)));
});

describe('where there is no terminal', () => {
  test('nothing but the summary is printed', async () => {
    const { stderr } = await lvmsyncOk(['copy', '--bwlimit', '4M', source, makeTarget()]);
    assert.equal(stderr.split('\n').length, 4, stderr);
    assert.match(stderr, new RegExp(`; not sent: ${ZERO_BYTES} of zeroes$`, 'm'));
    assert.match(stderr, /^Acknowledged: the target is flushed, .* of 8388608 bytes$/m);
  });

  test('--quiet prints nothing', async () => {
    const { stderr } = await lvmsyncOk(['copy', '-q', source, makeTarget()]);
    assert.equal(stderr, '');
  });

  for (const kind of ['bar', 'plain']) {
    test(`--progress ${kind} is lines without escape codes`, async () => {
      const args = ['copy', '--progress', kind, source, makeTarget()];
      const { stderr } = await lvmsyncOk(args);
      assert.match(stderr, /^sending: 0 B of 8\.00 MiB \(0%\)$/m);
      assert.match(stderr, /^flushing: zeroes 5\.00 MiB$/m);
      assert.ok(!stderr.includes(ESCAPE) && !stderr.includes('\r'), stderr);
    });
  }
});

const TERMINAL_WORDS = new RegExp(`${ESCAPE}\\[K|\\r\\n|\\r|\\n|[^${ESCAPE}\\r\\n]+`, 'g');

/** What a terminal shows of an output, and every text that a line of it had before it was cleared. */
function render(output: string): { lines: string[]; frames: string[] } {
  const lines: string[] = [];
  const frames: string[] = [];
  let line = '';
  let column = 0;
  for (const [part] of output.matchAll(TERMINAL_WORDS)) {
    if (part === '\r') {
      if (line !== '') frames.push(line);
      column = 0;
    } else if (part.endsWith('\n')) {
      lines.push(line);
      line = '';
      column = 0;
    } else if (part.startsWith(ESCAPE)) line = line.slice(0, column);
    else {
      line = line.slice(0, column) + part + line.slice(column + part.length);
      column += part.length;
    }
  }
  assert.equal(line, '', 'the cursor stands at the beginning of an empty line');
  return { lines, frames };
}

describe('on a terminal', () => {
  for (const columns of [80, 200]) {
    test(`a bar is drawn in ${columns} columns and gone at the end`, async () => {
      const words = ['copy', '--bwlimit', '3M', source, makeTarget()];
      const command = [process.execPath, lvmsyncPath, ...words].join(' ');
      const inTerminal = `stty cols ${columns} rows 24 && ${command}`;
      const { status, stdout } = await runCommand('script', ['-qec', inTerminal, '/dev/null'], {
        env: { TERM: 'xterm' },
      });
      const { lines, frames } = render(stdout.toString());
      assert.equal(status, 0, lines.join('\n'));
      const bars = frames.filter((frame) => /^sending .* of 8\.00 MiB .*\[#*\.*\]/.test(frame));
      assert.ok(bars.length > 1, stdout.toString());
      for (const frame of frames) assert.ok(frame.length < columns, frame);
      assert.match(lines.join('\n'), /^Sent \d+ [^\n]*\nAcknowledged: [^\n]*\nCopied [^\n]*$/);
    });
  }

  test('messages do not tear the bar', async () => {
    const words = ['copy', '-v', '--bwlimit', '3M', source, makeTarget()];
    const command = [process.execPath, lvmsyncPath, ...words].join(' ');
    const { stdout } = await runCommand('script', ['-qec', command, '/dev/null'], {
      env: { TERM: 'xterm' },
    });
    const { lines } = render(stdout.toString());
    assert.ok(lines.some((line) => /^engine: /.test(line)));
    for (const line of lines) assert.doesNotMatch(line, /sending/);
  });
});

/** A copy that would take hours; ended with the test. */
async function startSlowCopy(): Promise<{
  source: string;
  target: string;
  run: RunStatus;
  stderr(): string;
  ended: Promise<number | null>;
}> {
  const target = makeTarget();
  const itsSource = `${target}.source`;
  writeFileSync(itsSource, content);
  const args = [lvmsyncPath, 'copy', '--bwlimit', '1', itsSource, target];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  process.once('exit', () => child.kill('SIGKILL'));
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
  for (;;) {
    const { runs } = await listRuns();
    const run = runs.find(({ pid, progress }) => pid === child.pid && progress.phase === 'send');
    if (run !== undefined) return { source: itsSource, target, run, stderr: () => stderr, ended };
    if (child.exitCode !== null) throw new Error(`it has ended: ${stderr}`);
    await delay(20);
  }
}

test('a run can be seen, asked by a signal, slowed down and let go', async () => {
  const { source, target, run, stderr, ended } = await startSlowCopy();
  assert.deepEqual(
    [run.command, run.source, run.destination, run.bandwidthLimit],
    ['copy', source, target, 1024],
  );
  assert.equal(run.progress.totalBytes, content.length);

  process.kill(run.pid, 'SIGUSR1');
  while (!/^sending: .* of 8\.00 MiB \(\d+%\)/m.test(stderr())) await delay(20);

  const shown = await lvmsyncOk(['status']);
  assert.match(
    shown.stdout.toString(),
    new RegExp(
      `^  ${run.pid}: copy ${source} to ${target}, since .*, limited to 1\\.00 KiB/s\n    sending`,
      'm',
    ),
  );
  await lvmsyncFails(['status', '--set', 'bwlimit=1', '1'], 3, /no run in flight .* id 1$/m);
  await lvmsyncFails(['status', '--set', 'speed=1'], 2, /bwlimit=RATE/);
  const changed = await lvmsyncOk(['status', '--json', '--set', 'bwlimit=2K', String(run.pid)]);
  const { type, runs } = JSON.parse(changed.stdout.toString()) as Fields & { runs: RunStatus[] };
  assert.equal(type, 'status');
  assert.deepEqual(
    runs.map(({ pid, bandwidthLimit }) => [pid, bandwidthLimit]),
    [[run.pid, 2048]],
  );

  // At 2 KiB a second it would take half an hour.
  await lvmsyncOk(['status', '--set', 'bwlimit=0']);
  assert.equal(await ended, 0, stderr());
  assert.ok(readFileSync(target).equals(content));
  assert.deepEqual(await listRuns(), { runs: [], silent: [] });
});

test('of several runs one has to be named; what dead ones have left is forgotten', async () => {
  const first = await startSlowCopy();
  const second = await startSlowCopy();
  await lvmsyncFails(['status', '--set', 'bwlimit=0'], 2, /2 runs are in flight: /);
  process.kill(first.run.pid, 'SIGKILL');
  await first.ended;
  const { runs } = await listRuns();
  assert.deepEqual(
    runs.map(({ pid }) => pid),
    [second.run.pid],
  );
  assert.equal(readdirSync(join(directory, 'run')).length, 1);
  process.kill(second.run.pid, 'SIGTERM');
  assert.equal(await second.ended, 8);
  assert.match(second.stderr(), /interrupted/);
  assert.deepEqual(readdirSync(join(directory, 'run')), []);
});

test('a directory that others could write to is not believed', async () => {
  const open = join(directory, 'open');
  await mustRun('mkdir', ['-m', '755', open]);
  const env = { LVMSYNC_RUN_DIR: open };
  await lvmsyncFails(['status'], 6, /is not a directory that only this user can use/, { env });
  // A run shows itself only when it lasts.
  const args = ['copy', '-v', '--bwlimit', '3m', source, makeTarget()];
  const { stderr } = await lvmsyncOk(args, { env });
  assert.match(stderr, /lvmsync status will not show this/);
});

const WAYS: Record<string, (target: string) => string[]> = {
  'on this machine': (target) => [target],
  'over several channels': (target) => [
    ...['--channels', '4', '--ssh-config', sshd.configFile],
    `${sshd.alias}:${target}`,
  ],
  'over TLS': (target) => [
    ...['--data-channel', 'tls', '--streams', '2', '--ssh-config', sshd.configFile],
    `${sshd.alias}:${target}`,
  ],
};

for (const [way, words] of Object.entries(WAYS)) {
  test(`a limit holds ${way}`, async () => {
    const target = makeTarget();
    const args = ['copy', '--json', '--bwlimit', '2M', source, ...words(target)];
    const { stdout } = await lvmsyncOk(args);
    assert.ok(readFileSync(target).equals(content));
    const { seconds } = JSON.parse(stdout.toString()) as { seconds: number };
    // 3 MiB at 2 MiB a second, less two pieces of 50 ms that may go at once.
    assert.ok(seconds >= 1.4, `${seconds} s`);
  });
}

describe('--json', () => {
  test('is one object for a success', async () => {
    const target = makeTarget();
    const { stdout, stderr } = await lvmsyncOk(['copy', '--json', source, target]);
    const { seconds, streamBytes, records, speedup, ...rest } = JSON.parse(stdout.toString());
    assert.deepEqual(rest, {
      ...{ version: 1, command: 'copy', ok: true, exit: 0, source, destination: target },
      ...{ volumeBytes: content.length, dataBytes: content.length, zeroBytes: ZERO_BYTES },
      ...{ unchangedBytes: 0, resumedBytes: 0, protocol: 4, flushed: true, acknowledged: true },
    });
    assert.ok(seconds > 0 && records > 0 && streamBytes > DATA_BYTES);
    assert.equal(speedup, content.length / streamBytes);
    assert.equal(stderr, '');
  });

  test('is one object for a failure', async () => {
    const missing = join(directory, 'missing');
    const { stdout } = await lvmsyncFails(['copy', '--json', source, missing], 3, /FATAL/);
    const { seconds, message, hint, ...rest } = JSON.parse(stdout.toString());
    assert.deepEqual(rest, {
      ...{ version: 1, command: 'copy', ok: false, exit: 3, code: 'TARGET_UNSUITABLE' },
    });
    assert.ok(seconds >= 0);
    assert.match(message, /does not exist/);
    assert.match(hint, /lvcreate/);
  });

  test('is one object for a dry run', async () => {
    const target = makeTarget();
    const { stdout } = await lvmsyncOk(['copy', '--dry-run', '--json', source, target]);
    const { seconds: _, ...rest } = JSON.parse(stdout.toString());
    assert.deepEqual(rest, {
      ...{ version: 1, command: 'copy', ok: true, exit: 0, source, destination: target },
      ...{ dryRun: true, volumeBytes: content.length, plannedBytes: content.length },
      targetBytes: content.length,
    });
    assert.ok(readFileSync(target).equals(Buffer.alloc(content.length)));
  });

  test('is one object for a command line that is wrong', async () => {
    const { stdout } = await lvmsyncFails(['copy', '--json', '--no-such'], 2, /unknown option/);
    const { code, exit, message } = JSON.parse(stdout.toString());
    assert.deepEqual([code, exit], ['USAGE', 2]);
    assert.match(message, /^unknown option/);
  });

  test('of verify has the ranges that differ', async () => {
    const target = join(directory, 'differs');
    const changed = Buffer.from(content);
    changed.fill(1, MIB, MIB + 4096);
    changed.fill(1, 2 * MIB, 2 * MIB + 10);
    writeFileSync(target, changed);
    const ranges = [
      [MIB, 4096],
      [2 * MIB, 4096],
    ];
    const { status, stdout } = await lvmsync(['verify', '--json', source, target]);
    assert.equal(status, 1);
    const found = JSON.parse(stdout.toString());
    assert.deepEqual([found.ok, found.exit, found.differingBytes], [false, 1, 8192]);
    assert.deepEqual(found.ranges, ranges);
    const repaired = await lvmsyncOk(['verify', '--json', '--repair', source, target]);
    const {
      ok,
      repairedBytes,
      remainingBytes,
      ranges: before,
    } = JSON.parse(repaired.stdout.toString());
    assert.deepEqual([ok, repairedBytes, remainingBytes, before], [true, 8192, 0, ranges]);
    assert.ok(readFileSync(target).equals(content));
  });
});
