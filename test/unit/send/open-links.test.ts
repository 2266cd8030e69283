import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channelsForRoundTrip } from '#lvmsync/send/open-links.js';

test('when the round trip is short then one channel is enough', () => {
  assert.equal(channelsForRoundTrip(0.2), 1);
  assert.equal(channelsForRoundTrip(4.9), 1);
});

test('when the round trip is longer then there are as many channels as windows fit into it', () => {
  assert.equal(channelsForRoundTrip(10), 4);
  assert.equal(channelsForRoundTrip(20), 8);
});

test('when channels take another connection then only a longer round trip is worth it', () => {
  assert.equal(channelsForRoundTrip(24.9, true), 1);
  assert.equal(channelsForRoundTrip(25, true), 10);
});

test('when the round trip is very long then there is a limit', () => {
  assert.equal(channelsForRoundTrip(2000), 16);
});
