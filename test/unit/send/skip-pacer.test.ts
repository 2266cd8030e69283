import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Compared, createPacer } from '#lvmsync/send/skip-pacer.js';

const MIB = 1 << 20;

/** A pacer with a clock of its own, and how far comparing has got. */
function startPacer() {
  let milliseconds = 1000;
  const compared: Compared = { askedBytes: 0, answeredBytes: 0, heldBytes: 0 };
  return {
    pacer: createPacer(() => milliseconds),
    compared,
    pass(more: number) {
      milliseconds += more;
    },
    /** Asks about so much, and has it answered. */
    find(bytes: number) {
      compared.askedBytes += bytes;
      compared.answeredBytes += bytes;
      compared.heldBytes += bytes;
    },
  };
}

test('when sending has not begun then comparing goes on, whatever it finds', async () => {
  const { pacer, compared, pass } = startPacer();
  pass(100_000);
  assert.equal(await pacer.goesOn(compared), true);
});

test('when comparing was faster than sending is then it goes on, for as long as that is so', async () => {
  const { pacer, compared, pass, find } = startPacer();
  find(50 * MIB);
  pass(250);
  pacer.pause();
  let waited = true;
  const going = pacer.goesOn(compared).finally(() => {
    waited = false;
  });
  assert.equal(pacer.resume(8 * MIB, compared), false, 'too early to tell');
  pass(600);
  assert.equal(waited, true);
  assert.equal(pacer.resume(40 * MIB, compared), true);
  assert.equal(await going, true);

  // The link is still busy with what was sent: nothing is counted.
  compared.askedBytes += MIB;
  pass(3400);
  assert.equal(await pacer.goesOn(compared), true);
  // With the answer the speed is known: 40 MiB in 4 s. There is time for 50 MiB at that.
  compared.answeredBytes += MIB;
  assert.equal(await pacer.goesOn(compared), true);
  pass(4700);
  assert.equal(await pacer.goesOn(compared), true);
  find(10 * MIB);
  pass(1000);
  assert.equal(await pacer.goesOn(compared), true);
  pass(100);
  assert.equal(await pacer.goesOn(compared), false);
  assert.equal(pacer.resume(99 * MIB, compared), false);
});

test('when comparing was slower than sending is then it stops at the first answer', async () => {
  const { pacer, compared, pass, find } = startPacer();
  find(50 * MIB);
  pass(250);
  pacer.pause();
  pass(500);
  assert.equal(pacer.resume(400 * MIB, compared), true);
  pass(100);
  find(MIB);
  assert.equal(await pacer.goesOn(compared), false);
});

test('when nothing was found then comparing is over once something was sent', async () => {
  const { pacer, compared, pass } = startPacer();
  compared.askedBytes = MIB;
  pass(250);
  pacer.pause();
  const going = pacer.goesOn(compared);
  pass(500);
  assert.equal(pacer.resume(MIB, compared), false);
  assert.equal(await going, false);
});

test('when nothing is left to ask about then there is no answer to wait for', async () => {
  const { pacer, compared, pass, find } = startPacer();
  find(MIB);
  pass(250);
  pacer.pause();
  pass(500);
  assert.equal(pacer.resume(100 * MIB, compared), true);
  assert.equal(await pacer.goesOn(compared), false);
});

test('when comparing is stopped then nobody waits for it', async () => {
  const { pacer, compared } = startPacer();
  pacer.pause();
  const going = pacer.goesOn(compared);
  pacer.stop();
  assert.equal(await going, false);
});
