import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import { explainEnd } from '#lvmsync/transport/remote-exit.js';

const remote = { description: 'ssh backup1', command: 'sudo lvmsync' };
const explain = (status: number | null, signal: string | null = null) =>
  explainEnd({ status, signal }, remote);

test('when the far side ended with 0 then there is nothing to explain', () => {
  assert.equal(explain(0), undefined);
});

test('when the shell says 127 then the message says what was not found where', () => {
  const error = explain(127);
  assert.equal(error?.code, 'REMOTE_NOT_STARTED');
  assert.equal(error?.message, 'ssh backup1: sudo lvmsync was not found there');
  assert.match(error?.hint ?? '', /--remote-command/);
});

test('when the shell says 126 then the far side did not start', () => {
  assert.equal(explain(126)?.code, 'REMOTE_NOT_STARTED');
});

test('when the far side failed, was killed or vanished then each is told apart', () => {
  assert.equal(explain(3)?.code, 'REMOTE_FAILED');
  assert.match(explain(3)?.message ?? '', /exit status 3/);
  assert.equal(explain(null, 'SIGKILL')?.code, 'REMOTE_FAILED');
  assert.match(explain(null, 'SIGKILL')?.message ?? '', /SIGKILL/);
  assert.equal(explain(null)?.code, 'CONNECTION_LOST');
});

test('when the channel already knows why then that is the explanation', () => {
  const error = new LvmsyncError('CONNECTION_LOST', 'gone');
  assert.equal(explainEnd({ status: 0, signal: null, error }, remote), error);
});
