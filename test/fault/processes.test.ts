/** Either end killed, told to stop, or standing still, at seeded points of the stream. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createRandom } from '../support/random.js';
import { afterBytes } from './interference.js';
import { changesOf, type Kind, kind, storedStream, tryFault } from './kinds.js';
import { type Link, startLvmsync } from './link.js';
import { appendRow, assertRow, faultPoints } from './matrix.js';
import { createScene, lookAtTarget } from './scene.js';

const scene = createScene(6);
/** Chunks larger than what a disk writes at once. */
const largeChunks = createScene(7, { chunkBytes: 65536, exceptionCount: 40 });

const RSH = kind('rsh', 4);
const KINDS = [
  RSH,
  kind('rsh', 3),
  kind('pipe', 4),
  kind('pipe', 3),
  kind('rsh', 4, 'snapback'),
  kind('rsh', 4, 'transactional'),
];
const VICTIMS = ['sender', 'receiver'] as const;
const SIGNALS = ['SIGKILL', 'SIGTERM'] as const;

for (const [index, kind] of KINDS.entries()) {
  test(`when an end of a ${kind.name} run is killed at ${faultPoints} points then a second run heals`, async () => {
    const random = createRandom(60 + index);
    for (let point = 0; point < faultPoints; point++) {
      const where = point % 3 === 0 ? largeChunks : scene;
      const stream = await storedStream(where, kind.protocol);
      const victim = random.pick(VICTIMS);
      const signal = random.pick(SIGNALS);
      const position = random.below(stream.length);
      const strike = (link: Link) => link[victim]?.kill(signal);
      await tryFault(
        where,
        kind,
        `${signal} of the ${victim}`,
        { fault: { up: afterBytes(position, strike) } },
        {
          sender: victim === 'sender' && signal === 'SIGTERM' ? [8] : [null, 4, 5, 7, 8],
          receiver: [null, 4, 7, 8],
          ...(signal === 'SIGTERM' && { message: /interrupted|ended by|stopped|ends|lost/ }),
        },
      );
    }
  });
}

test('when an end of an rsh-4 run is killed while it answers then a second run heals', async () => {
  const random = createRandom(66);
  for (let point = 0; point < Math.ceil(faultPoints / 5); point++) {
    const victim = random.pick(VICTIMS);
    const strike = (link: Link) => link[victim]?.kill('SIGKILL');
    await tryFault(
      scene,
      RSH,
      `SIGKILL of the ${victim}`,
      { fault: { down: afterBytes(random.below(700), strike) } },
      { sender: [null, 4, 5], receiver: [null, 4, 7] },
    );
  }
});

/** There is nothing to count bytes by in a run that is one process: these strike by time. */
test('when a local run is killed then a second run heals', async () => {
  const random = createRandom(67);
  for (const kind of [local(3), local(4)]) {
    for (let point = 0; point < Math.ceil(faultPoints / 5); point++) {
      const target = scene.createTarget();
      const signal = random.pick(SIGNALS);
      const args = [...changesOf(scene), '--protocol', String(kind.protocol), target];
      const run = startLvmsync(args);
      await delay(100 + random.below(300));
      run.kill(signal);
      const ended = await run.ended;
      const { state, lostSectors, strangeSectors } = lookAtTarget(scene, target);
      const second = await startLvmsync(args).ended;
      const succeeded = ended.status === 0;
      const row = {
        kind: kind.name,
        fault: `${signal} of both`,
        outcome: succeeded ? 'succeeded' : state === 'base' ? 'refused' : 'failed',
        exits: [ended.status ?? `${ended.signal}`],
        message: /^FATAL ERROR: (.*)$/m.exec(ended.stderr)?.[1] ?? '',
        target: state,
        healed: second.status === 0 && lookAtTarget(scene, target).state === 'new',
        falseSuccess: succeeded && state !== 'new',
        lostData: lostSectors > 0 || strangeSectors > 0,
      } as const;
      appendRow(row);
      assertRow(row);
      if (!succeeded) assert.ok([null, 8].includes(ended.status), JSON.stringify(row));
    }
  }
});

function local(protocol: 3 | 4): Kind {
  return kind('local', protocol);
}

for (const [stopped, other] of [
  ['sender', 'receiver'],
  ['receiver', 'sender'],
] as const) {
  test(`when the ${stopped} of an rsh-4 run stands still then the ${other} gives it up`, async () => {
    const stream = await storedStream(scene, 4);
    const stop = async (link: Link) => {
      link[stopped]?.kill('SIGSTOP');
      await link[other]?.ended; // while it stands still
      link[stopped]?.kill('SIGCONT');
    };
    const row = await tryFault(
      scene,
      RSH,
      `SIGSTOP of the ${stopped}`,
      {
        fault: { up: afterBytes(Math.floor(stream.length / 3), stop) },
        options: ['--timeout', '1'],
      },
      { sender: [4], receiver: [4, 7], message: /nothing came for 1 seconds/ },
    );
    assert.notEqual(row.outcome, 'succeeded', JSON.stringify(row));
  });
}

for (const kind of [RSH, local(4)]) {
  test(`when Ctrl-C is pressed in a ${kind.name} run then it says what to do next`, async () => {
    if (kind.way === 'rsh') {
      const stream = await storedStream(scene, 4);
      const press = (link: Link) => link.sender?.kill('SIGINT');
      const row = await tryFault(
        scene,
        kind,
        'Ctrl-C',
        { fault: { up: afterBytes(Math.floor(stream.length / 3), press) } },
        { sender: [8], message: /interrupted.*\n {2}.*run/ },
      );
      assert.notEqual(row.outcome, 'succeeded', JSON.stringify(row));
      return;
    }
    const target = scene.createTarget();
    const run = startLvmsync([...changesOf(scene), target]);
    await delay(150);
    run.kill('SIGINT');
    const { status, signal, stderr } = await run.ended;
    if (status === 0) assert.equal(lookAtTarget(scene, target).state, 'new');
    else if (signal === null) {
      assert.equal(status, 8, stderr);
      assert.match(stderr, /interrupted.*\n {2}.*run/);
    }
  });
}

test('when Ctrl-C is pressed in a pipe-4 run then both ends stop and say so', async () => {
  const stream = await storedStream(scene, 4);
  const press = (link: Link) => {
    link.sender?.kill('SIGINT');
    link.receiver?.kill('SIGINT');
  };
  await tryFault(
    scene,
    kind('pipe', 4),
    'Ctrl-C',
    { fault: { up: afterBytes(Math.floor(stream.length / 3), press) } },
    { sender: [8], receiver: [8, 7], message: /interrupted.*\n {2}.*run/ },
  );
});
