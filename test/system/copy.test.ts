import assert from 'node:assert/strict';
import { readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { seededBytes } from '../support/devices.js';
import { lvmsync } from '../support/lvmsync.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const MIB = 1 << 20;
/** Data, zeroes, and a short end. */
const content = Buffer.concat([
  seededBytes(1, 1, 8 * MIB),
  Buffer.alloc(16 * MIB),
  seededBytes(2, 1, 4 * MIB + 700),
]);

const directory = temporaryDirectory();
process.env.LVMSYNC_STATE_DIR = join(directory, 'state');
const source = join(directory, 'source');
writeFileSync(source, content);

let sshd: TestSshd;
before(async () => {
  sshd = await startSshd();
});
after(() => sshd.stop());

const WAYS: Record<string, (target: string) => string[]> = {
  'on this machine': (target) => [source, target],
  'over SSH': (target) => ['--ssh-config', sshd.configFile, source, `${sshd.alias}:${target}`],
  'from another host': (target) => [
    '--ssh-config',
    sshd.configFile,
    `${sshd.alias}:${source}`,
    target,
  ],
};

let count = 0;
function makeTarget(bytes: number, fill?: number): string {
  const target = join(directory, `target${count++}`);
  writeFileSync(target, fill === undefined ? '' : Buffer.alloc(bytes, fill));
  truncateSync(target, bytes);
  return target;
}

for (const [way, words] of Object.entries(WAYS)) {
  describe(`a copy ${way}`, () => {
    test('makes a target the same, whatever it held, and sends no zeroes', async () => {
      const target = makeTarget(content.length, 0x5a);
      const { status, stdout, stderr } = await lvmsync(['copy', ...words(target)]);
      assert.equal(status, 0, stderr.toString());
      assert.ok(readFileSync(target).equals(content));
      const [, copied, sent] =
        /Copied (\d+) bytes in .* as (\d+) bytes/.exec(`${stdout}${stderr}`) ?? [];
      assert.equal(Number(copied), content.length);
      assert.ok(Number(sent) > 12 * MIB && Number(sent) < 13 * MIB, `${sent} bytes of stream`);
    });

    test('allocates nothing for the zeroes of a sparse target', async () => {
      const target = makeTarget(content.length);
      const { status, stderr } = await lvmsync(['copy', '-q', ...words(target)]);
      assert.equal(status, 0, stderr.toString());
      assert.ok(readFileSync(target).equals(content));
      assert.ok(statSync(target).blocks * 512 < 13 * MIB);
    });

    test('leaves what is behind the source in a larger target', async () => {
      const target = makeTarget(content.length + MIB, 0x5a);
      const { status, stderr } = await lvmsync(['copy', '-q', ...words(target)]);
      assert.equal(status, 0, stderr.toString());
      const rest = Buffer.alloc(MIB, 0x5a);
      assert.ok(readFileSync(target).equals(Buffer.concat([content, rest])));
    });

    test('refuses a smaller target and leaves it as it is', async () => {
      const target = makeTarget(content.length - 4096, 0x5a);
      const { status, stderr } = await lvmsync(['copy', ...words(target)]);
      assert.equal(status, 3, stderr.toString());
      assert.match(stderr.toString(), /target/);
      assert.ok(readFileSync(target).equals(Buffer.alloc(content.length - 4096, 0x5a)));
    });
  });
}
