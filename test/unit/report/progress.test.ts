import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { progressJson } from '#lvmsync/report/json-lines.js';
import { createProgress, type ProgressModel } from '#lvmsync/report/progress.js';
import { barLine, plainLine } from '#lvmsync/report/progress-line.js';

const MIB = 1 << 20;

/** A model and the clock it goes by. */
function start(): { model: ProgressModel; pass(milliseconds: number): void } {
  let now = 1000;
  const model = createProgress({ now: () => now, streamBytes: () => 7 * MIB });
  return {
    model,
    pass(milliseconds) {
      now += milliseconds;
    },
  };
}

describe('the rate', () => {
  test('is that of the phase so far, at first', () => {
    const { model, pass } = start();
    model.phase('send', 100 * MIB);
    assert.equal(model.read().bytesPerSecond, 0);
    assert.equal(model.read().secondsLeft, undefined);
    pass(500);
    model.advance(5 * MIB);
    assert.ok(Math.abs(model.read().bytesPerSecond - 10 * MIB) < 1);
    assert.ok(Math.abs((model.read().secondsLeft ?? 0) - 9.5) < 0.01);
  });

  test('is steady when the data comes in bursts', () => {
    const { model, pass } = start();
    model.phase('send', 10_000 * MIB);
    const rates: number[] = [];
    for (let i = 0; i < 600; i++) {
      pass(100);
      if (i % 10 === 0) model.advance(100 * MIB);
      const { bytesPerSecond } = model.read();
      if (i >= 200) rates.push(bytesPerSecond);
    }
    assert.ok(Math.min(...rates) > 85 * MIB && Math.max(...rates) < 115 * MIB);
  });

  test('follows a change within some seconds', () => {
    const { model, pass } = start();
    model.phase('send', 10_000 * MIB);
    for (let i = 0; i < 200; i++) {
      pass(100);
      model.advance(i < 100 ? 10 * MIB : MIB);
      model.read();
    }
    const { bytesPerSecond } = model.read();
    assert.ok(bytesPerSecond > 10 * MIB && bytesPerSecond < 25 * MIB, `${bytesPerSecond}`);
  });

  test('begins anew with each phase, and what was there before does not count', () => {
    const { model, pass } = start();
    model.phase('check', MIB);
    pass(1000);
    model.advance(MIB);
    model.read();
    model.phase('send', 100 * MIB, 60 * MIB);
    assert.equal(model.read().bytesPerSecond, 0);
    assert.equal(model.read().doneBytes, 60 * MIB);
    pass(1000);
    model.advance(4 * MIB);
    assert.ok(Math.abs(model.read().bytesPerSecond - 4 * MIB) < 1);
    assert.ok(Math.abs((model.read().secondsLeft ?? 0) - 9) < 0.01);
  });
});

function middle(): ProgressModel {
  const { model, pass } = start();
  model.stage('round 2');
  model.phase('send', 4096 * MIB);
  pass(10_000);
  model.advance(1024 * MIB);
  model.saved('zero', 300 * MIB);
  model.saved('unchanged', 20 * MIB);
  model.saved('unchanged', 5 * MIB);
  model.snapshotFill(0.128);
  return model;
}

test('a plain line says all that is known', () => {
  assert.equal(
    plainLine(middle().read()),
    'round 2, sending: 1.00 GiB of 4.00 GiB (25%), 102 MiB/s, 0:30 left, zeroes 300 MiB, unchanged 25.0 MiB, snapshot 12% full',
  );
});

test('a plain line says no more than is known', () => {
  const { model } = start();
  assert.equal(plainLine(model.read()), 'reading the list of changes');
  model.phase('apply');
  model.advance(5 * MIB);
  assert.equal(plainLine(model.read()), 'applying: 5.00 MiB');
});

test('a percentage is 100 when it is all, and not before', () => {
  const { model } = start();
  model.phase('send', 1000 * MIB);
  model.advance(1000 * MIB - 1);
  assert.match(plainLine(model.read()), /\(99%\)/);
  model.advance(1);
  assert.match(plainLine(model.read()), /\(100%\)/);
  model.phase('send', 0);
  assert.match(plainLine(model.read()), /\(100%\)/);
});

test('a bar line is as wide as there is room for, and no wider', () => {
  const progress = middle().read();
  for (let columns = 10; columns < 250; columns++) {
    assert.ok(barLine(progress, columns).length <= columns, `${columns} columns`);
  }
  assert.equal(
    barLine(progress, 79),
    'round 2, sending  1.00 GiB of 4.00 GiB (25%)  [##......]   102 MiB/s  0:30 left',
  );
  assert.equal(
    barLine(progress, 199),
    `round 2, sending  1.00 GiB of 4.00 GiB (25%)  [${'#'.repeat(9)}${'.'.repeat(29)}]   102 MiB/s  0:30 left  zeroes 300 MiB  unchanged 25.0 MiB  snapshot 12% full`,
  );
});

test('a line of JSON has the fields that docs/json.md lists, and no others', () => {
  const line: unknown = JSON.parse(progressJson(middle().read()));
  assert.deepEqual(line, {
    version: 1,
    type: 'progress',
    stage: 'round 2',
    phase: 'send',
    doneBytes: 1024 * MIB,
    totalBytes: 4096 * MIB,
    percent: 25,
    bytesPerSecond: 107_374_182,
    secondsLeft: 30,
    zeroBytes: 300 * MIB,
    unchangedBytes: 25 * MIB,
    streamBytes: 7 * MIB,
    snapshotFillPercent: 12,
    elapsedSeconds: 10,
  });
});
