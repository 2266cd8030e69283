import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { barsOf } from '../bench/bars.js';
import { chartOf } from '../bench/chart.js';
import { peer } from '../bench/contenders.js';
import { seededContent, withZeroes } from '../bench/content.js';
import { type Results, slowerThan, tableOf } from '../bench/results.js';
import { ownMs, stallsIn } from '../bench/stalls.js';
import { isSlower, spreadOf } from '../bench/stats.js';
import { slowOnes, type Taking } from '../bench/taking-part.js';

function results(seconds: number[]): Results {
  const runs = seconds.map((one) => ({ seconds: one }));
  const rows = [
    { name: 'lvmsync', bytes: 1e9, runs },
    { name: 'dd & <friends>', bytes: 1e9, runs: [{ seconds: 4 }] },
  ];
  const scenario = { name: 'dense', title: 'All', reference: 'dd & <friends>', rows, left: [] };
  const machine = { cores: 2, processor: 'x', kernel: '6', node: 'v20', directory: '/tmp' };
  return { version: 1, date: '', machine, rounds: 1, scale: 1, scenarios: [scenario] };
}

describe('the figures of the bench', () => {
  test('when there is an even number of timings then the median lies between the middle two', () => {
    assert.deepEqual(spreadOf([4, 1, 3, 2]), { median: 2.5, least: 1, most: 4 });
    assert.deepEqual(spreadOf([9, 1, 5]), { median: 5, least: 1, most: 9 });
  });

  test('when the spreads overlap then nothing is called slower', () => {
    assert.ok(!isSlower(spreadOf([1, 2, 3]), spreadOf([1.5, 2.5, 3.5])));
    assert.ok(isSlower(spreadOf([1, 2, 3]), spreadOf([3.1, 3.2, 3.3])));
  });

  test('when a contender takes longer than ever before then it is named', () => {
    assert.deepEqual(slowerThan(results([1, 1.1]), results([1, 1.1])), []);
    assert.deepEqual(slowerThan(results([1, 1]), results([2, 2])), [
      'dense: lvmsync takes 2.00 times as long',
    ]);
  });

  test('when a table is made then rates are compared with the reference', () => {
    const lvmsync = tableOf(results([2]).scenarios[0]!)
      .split('\n')
      .find((line) => line.startsWith('| lvmsync'));
    assert.match(lvmsync ?? '', /2\.00 s .* 500 \| +2\.00 \|/);
  });

  test('when a contender is several times slower than the reference then it is among the slow ones, unless it is ours', () => {
    const row = (seconds: number) => ({ name: '', bytes: 1, runs: [{ seconds }] });
    const contender = (name: string) => ({ name, argv: () => [] });
    const taking: Taking[] = [
      { contender: contender('reference'), row: row(2) },
      { contender: contender('as fast'), row: row(2) },
      { contender: contender('slow'), row: row(9) },
      { contender: { ...contender('our own'), isOurs: true }, row: row(9) },
    ];
    assert.deepEqual(slowOnes(taking, 'reference'), ['slow']);
    assert.deepEqual(slowOnes(taking, 'left out'), []);
  });

  test('when turns are judged then the native engine alone counts, and loading is told apart', () => {
    const found = results([1]);
    const runs = [9, 3, 4].map((loopMaxMs) => ({
      ...{ seconds: 1, loopMaxMs, loadingMaxMs: 40, settledMaxMs: loopMaxMs - 2 },
    }));
    const js = [{ seconds: 1, loopMaxMs: 50, loadingMaxMs: 60, settledMaxMs: 70 }];
    found.scenarios[0]!.rows = [
      { name: 'lvmsync', bytes: 1, runs },
      { name: 'lvmsync --engine js', bytes: 1, runs: js },
    ];
    assert.match(barsOf(found), /longest turn of the main thread, native engine.* 4\.0 \/ 9\.0 \|/);
    assert.match(barsOf(found), /after the first second of a run, ms \| - \| 2\.0 \/ 7\.0 \|/);
    assert.match(barsOf(found), /loads code, ms \| - \| 40 \|/);
  });

  test('when a timer comes late then its core stood still, and another timer says nothing', () => {
    const line = (core: number, seconds: string, event: string, timer: string, time: string) =>
      `   node-1  [00${core}] d..1. ${seconds}: hrtimer_${event}: hrtimer=${timer} function=hrtimer_wakeup ${time}`;
    const trace = [
      '# tracer: nop',
      line(1, '7.000000', 'start', '0a', 'expires=7001000000 softexpires=7001000000 mode=REL'),
      line(0, '7.000100', 'start', '0b', 'expires=7001100000 softexpires=7001100000 mode=REL'),
      line(0, '7.001150', 'expire_entry', '0b', 'now=7001150000'),
      line(0, '7.005000', 'expire_entry', '0c', 'now=7005000000'),
      line(1, '7.006500', 'expire_entry', '0a', 'now=7006500000'),
      line(1, '7.008000', 'expire_entry', '0a', 'now=7008000000'),
    ];
    assert.deepEqual(stallsIn(trace.join('\n')), [{ core: 1, from: 7001, to: 7006.5 }]);
  });

  test('when a chart is made then names cannot break it', () => {
    const chart = chartOf(results([2]));
    assert.match(chart, /dd &amp; &lt;friends>/);
    assert.match(chart, /500 MB\/s/);
  });

  test('when a core of a turn stands still then that time is left out of the turn, and once', () => {
    const turn = { from: 100, to: 130, ms: 25, cores: [0, 1] as [number, number], isSettled: true };
    const stall = (core: number, from: number, to: number) => ({ core, from, to });
    assert.equal(ownMs(turn, []), 25);
    assert.equal(ownMs(turn, [stall(2, 105, 115), stall(0, 80, 100), stall(1, 130, 140)]), 25);
    assert.equal(ownMs(turn, [stall(0, 90, 104)]), 21);
    assert.equal(ownMs(turn, [stall(1, 106, 116), stall(0, 105, 115)]), 14);
    assert.equal(ownMs(turn, [stall(0, 105, 120), stall(1, 107, 109), stall(0, 126, 140)]), 6);
    assert.equal(ownMs({ ...turn, cores: [0, 0] }, [stall(1, 105, 115)]), 25);
    assert.equal(ownMs(turn, [stall(0, 100, 130)]), 0);
  });
});

describe('the content of the bench', () => {
  test('when it is read in parts then it is the same as read at once', () => {
    const whole = Buffer.alloc(65536);
    seededContent('x').fill(whole, 4096);
    const part = Buffer.alloc(4096);
    seededContent('x').fill(part, 4096 + 8192);
    assert.ok(part.equals(whole.subarray(8192, 12288)));
    seededContent('y').fill(part, 4096 + 8192);
    assert.ok(!part.equals(whole.subarray(8192, 12288)));
  });

  test('when six in ten blocks are to be zeroes then about as many are', () => {
    const bytes = Buffer.alloc(4 << 20);
    withZeroes(seededContent('x'), 0.6).fill(bytes, 0);
    let zeroes = 0;
    for (let at = 0; at < bytes.length; at += 4096)
      if (bytes[at] === 0 && bytes[at + 99] === 0) zeroes++;
    assert.ok(zeroes > 580 && zeroes < 650, `${zeroes} of 1024`);
  });
});

test('when a peer is given then its places are filled in, word by word', () => {
  const { name, argv } = peer('blocksync=blocksync {source} {host} {target}');
  const volume = { originPath: '/a b', targetPath: '/t', storePath: '/s' };
  assert.equal(name, 'blocksync');
  const words = argv({ ...volume } as never, { alias: 'far', configFile: '/c' });
  assert.deepEqual(words, ['blocksync', '/a b', 'far', '/t']);
  assert.throws(() => peer('nothing'), /NAME=COMMAND/);
});
