import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Channel } from 'ssh2';
import { shortWindow } from '#lvmsync/transport/ssh2/short-window.js';

const KIB = 1024;

const channelWith = (window: number) => ({ outgoing: { window } }) as Channel & Outgoing;
interface Outgoing {
  outgoing: { window: number };
}

test('a server that is near has half a mebibyte under way', () => {
  const channel = channelWith(2048 * KIB);
  const window = shortWindow('OpenSSH_9.2p1');
  window.hold(channel);
  assert.equal(channel.outgoing.window, 512 * KIB);
  window.allowFor(0.3);
  assert.equal(channel.outgoing.window, 512 * KIB);
});

test('a server that turns out to be far away has its whole window, once', () => {
  const channel = channelWith(2048 * KIB);
  const window = shortWindow('OpenSSH_9.2p1');
  window.hold(channel);
  channel.outgoing.window -= 500 * KIB;
  window.allowFor(40);
  assert.equal(channel.outgoing.window, 1548 * KIB);
  window.allowFor(40);
  assert.equal(channel.outgoing.window, 1548 * KIB);
});

test('a window grows with the way to the server', () => {
  const channel = channelWith(2048 * KIB);
  const window = shortWindow('OpenSSH_9.2p1');
  window.hold(channel);
  window.allowFor(1.5);
  assert.equal(channel.outgoing.window, 768 * KIB);
});

test('a server known to be far away before the channel is open has its whole window', () => {
  const channel = channelWith(2048 * KIB);
  const window = shortWindow('OpenSSH_9.2p1');
  window.allowFor(40);
  window.hold(channel);
  assert.equal(channel.outgoing.window, 2048 * KIB);
});

test('a window that is shorter already stays as it is', () => {
  const channel = channelWith(64 * KIB);
  const window = shortWindow('OpenSSH_9.2p1');
  window.hold(channel);
  window.allowFor(40);
  assert.equal(channel.outgoing.window, 64 * KIB);
});

test('a server that may wait until half of its window is used has all of it', () => {
  const channel = channelWith(2048 * KIB);
  const window = shortWindow('AsyncSSH_2.14.2');
  window.hold(channel);
  assert.equal(channel.outgoing.window, 2048 * KIB);
  window.allowFor(40);
  assert.equal(channel.outgoing.window, 2048 * KIB);
});
