import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { sshTransport } from '#lvmsync/transport/ssh2/transport.js';

test('when no connection is wanted yet then ssh2 is not loaded, to start quickly', async () => {
  const transport = sshTransport({ host: 'nowhere' });
  const loaded = Object.keys(createRequire(import.meta.url).cache);
  assert.deepEqual(
    loaded.filter((path) => path.includes('/ssh2/')),
    [],
  );
  await transport.close();
});
