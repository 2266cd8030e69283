import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import {
  type Channel,
  LvmsyncError,
  loadEngine,
  localChannel,
  openNamedSource,
  type VerifyOptions,
  verify,
  verifyTarget,
} from '#lvmsync/index.js';
import { endProcess } from '../support/command.js';
import { seededBytes } from '../support/devices.js';
import { lvmsync, lvmsyncFails, lvmsyncOk } from '../support/lvmsync.js';
import {
  decodeRecord,
  encodeEnd,
  encodeHello,
  encodeRecord,
  LABEL,
  splitStream,
  TYPE,
} from '../support/proto4.js';
import { createRandom } from '../support/random.js';
import { lvmsyncPath } from '../support/repository.js';
import { startSshd, type TestSshd } from '../support/sshd.js';
import { createStoreFixture } from '../support/store-fixture.js';
import { temporaryDirectory } from '../support/temp-dir.js';

const MIB = 1 << 20;
const BLOCK_BYTES = 4096;
/** The last block is a short one. */
const VOLUME_BYTES = 80 * MIB + 700;

const directory = temporaryDirectory();
const state = join(directory, 'state');
process.env.LVMSYNC_STATE_DIR = state;
const path = (name: string) => join(directory, name);
const content = seededBytes(1, 1, VOLUME_BYTES);
const source = path('source');
writeFileSync(source, content);
const { rsh } = createStoreFixture(directory, { seed: 1, originBytes: 65536, changedChunks: 1 });

let sshd: TestSshd;
let serving: TestSshd;
before(async () => {
  sshd = await startSshd();
  serving = await startSshd();
});
after(async () => {
  await sshd.stop();
  await serving.stop();
});

const WAYS: Record<string, (target: string) => string[]> = {
  'on this machine': (target) => [source, target],
  'over a command': (target) => ['-e', rsh(), source, `host:${target}`],
  'over SSH': (target) => ['--ssh-config', sshd.configFile, source, `${sshd.alias}:${target}`],
  'of a source on another host': (target) => [
    '--ssh-config',
    sshd.configFile,
    `${sshd.alias}:${source}`,
    target,
  ],
  'by lvmsync serve': (target) => {
    const key = readFileSync(`${serving.identityFile}.pub`, 'utf8');
    const command = `lvmsync serve --target data=${target}`;
    writeFileSync(
      join(serving.directory, 'authorized_keys'),
      `restrict,command="${command}" ${key}`,
    );
    return ['--ssh-config', serving.configFile, source, `${serving.alias}:data`];
  },
};

/** A target that differs in so many seeded blocks; resolves to the ranges, as they are printed. */
function differingTarget(name: string, blocks: number): { target: string; ranges: string } {
  const target = path(name);
  const random = createRandom(blocks);
  const bytes = Buffer.from(content);
  const blockCount = Math.ceil(VOLUME_BYTES / BLOCK_BYTES);
  const chosen = new Set<number>(blocks > 1 ? [0, blockCount - 1] : []);
  while (chosen.size < blocks) chosen.add(random.below(blockCount));
  const ranges: [number, number][] = [];
  for (const block of [...chosen].sort((a, b) => a - b)) {
    const offset = block * BLOCK_BYTES;
    const length = Math.min(BLOCK_BYTES, VOLUME_BYTES - offset);
    bytes[offset + random.below(length)]! ^= 1 << random.below(8);
    const last = ranges.at(-1);
    if (last !== undefined && last[0] + last[1] === offset) last[1] += length;
    else ranges.push([offset, length]);
  }
  writeFileSync(target, bytes);
  return { target, ranges: ranges.map((range) => `${range.join(' ')}\n`).join('') };
}

for (const [way, ends] of Object.entries(WAYS)) {
  describe(`lvmsync verify ${way}`, () => {
    for (const blocks of [0, 1, 100, 10_000]) {
      test(`when ${blocks} blocks differ then just those are told, and repaired on demand`, async () => {
        const { target, ranges } = differingTarget('target', blocks);
        const held = readFileSync(target);
        const { mtimeMs } = statSync(target);

        const told = await lvmsync(['verify', ...ends(target)]);
        assert.equal(told.status, blocks === 0 ? 0 : 1, told.stderr);
        assert.equal(told.stdout.toString(), ranges);
        assert.match(told.stderr, new RegExp(`Compared ${VOLUME_BYTES} bytes`));
        assert.ok(readFileSync(target).equals(held), 'it is read and not written');
        assert.equal(statSync(target).mtimeMs, mtimeMs);
        assert.ok(!existsSync(state) || readdirSync(state).length === 0, 'nothing is remembered');

        const repaired = await lvmsync(['verify', '--repair', ...ends(target)]);
        assert.equal(repaired.status, 0, repaired.stderr);
        assert.equal(repaired.stdout.toString(), ranges, 'what differed');
        assert.ok(readFileSync(target).equals(content));
        const sent = /^Repaired: (\d+) bytes/m.exec(repaired.stderr)?.[1];
        const differing = ranges.match(/(?<= )\d+/g)?.reduce((sum, length) => sum + +length, 0);
        assert.equal(Number(sent ?? 0), differing ?? 0, 'no more than what differed');
      });
    }

    test('when the target is larger then it is compared as far as the source goes, and that is told', async () => {
      const { target } = differingTarget('larger', 0);
      truncateSync(target, VOLUME_BYTES + 12_345);
      const { stderr } = await lvmsyncOk(['verify', ...ends(target)]);
      assert.match(stderr, /its last 12345 bytes are not compared/);
    });

    test('when the target is smaller then it is refused', async () => {
      const { target } = differingTarget('smaller', 0);
      truncateSync(target, VOLUME_BYTES - 512);
      for (const options of [[], ['--repair']]) {
        const args = ['verify', ...options, ...ends(target)];
        await lvmsyncFails(args, 3, /too small|has \d+ bytes, but the source has/);
      }
    });
  });
}

test('when the js engine does it, at either end, then the same is found', async () => {
  const { target, ranges } = differingTarget('js', 50);
  const { stdout } = await lvmsync(['verify', '--engine', 'js', source, target]);
  assert.equal(stdout.toString(), ranges);
});

test('when everything differs then it is one range, and repaired', async () => {
  const target = path('all');
  writeFileSync(target, Buffer.alloc(VOLUME_BYTES));
  const { status, stdout } = await lvmsync(['verify', source, target, '--repair']);
  assert.equal(status, 0);
  assert.equal(stdout.toString(), `0 ${VOLUME_BYTES}\n`);
  assert.ok(readFileSync(target).equals(content));
});

test('when the source is empty then nothing differs', async () => {
  writeFileSync(path('empty'), '');
  const { stdout } = await lvmsyncOk(['verify', path('empty'), source]);
  assert.equal(stdout.length, 0);
});

test('when a sample is compared then so much is, and of what differs everywhere something is found', async () => {
  const target = path('sampled');
  writeFileSync(
    target,
    content.map((byte) => byte ^ 1),
  );
  const { status, stderr } = await lvmsync(['verify', '--sample', '10%', source, target]);
  assert.equal(status, 1);
  const [, compared, whole] = /Compared (\d+) of (\d+) bytes/.exec(stderr) ?? [];
  assert.equal(Number(whole), VOLUME_BYTES);
  assert.ok(Math.abs(Number(compared) - VOLUME_BYTES / 10) <= 65536, stderr);
  const blocks = await lvmsync(['verify', source, target, '--sample', '7']);
  assert.equal(blocks.stdout.toString().trim().split('\n').length, 7);
  for (const size of ['0', '-1', '101%', '1.5', 'x']) {
    await lvmsyncFails(['verify', source, target, `--sample=${size}`], 2, /--sample/);
  }
});

test('when the target is the source itself then that is refused', async () => {
  await lvmsyncFails(['verify', source, source], 3, /is the source/);
});

test('when there is no such source then nothing is asked', async () => {
  await lvmsyncFails(['verify', path('missing'), source], 3, /there is no/);
});

test('when a connection breaks while it is compared then a new one goes on, and no block is forgotten', async () => {
  const { target, ranges } = differingTarget('broken', 300);
  const script = path('breaking-rsh');
  const count = path('connections');
  // The first three are cut somewhere among the checks.
  writeFileSync(
    script,
    `#!/bin/sh\nshift\necho >> '${count}'\nlvmsync() { '${process.execPath}' '${lvmsyncPath}' "$@"; }\n` +
      `n=$(wc -l < '${count}')\nif [ "$n" -le 3 ]; then dd bs=1 count=$((n * 9000)) status=none | eval "$*"; else eval "$*"; fi\n`,
  );
  chmodSync(script, 0o755);
  const { stderr, stdout, status } = await lvmsync([
    'verify',
    '-e',
    script,
    source,
    `host:${target}`,
  ]);
  assert.equal(status, 1, stderr);
  assert.equal(stdout.toString(), ranges);
  assert.match(stderr, /trying again in 4 s \(3 of 5\)/);
  assert.match(stderr, new RegExp(`Compared ${VOLUME_BYTES} bytes`), 'each byte once');
});

test('when the receiver does not know what to verify is then the failure says what it said', async () => {
  const script = path('old-rsh');
  writeFileSync(script, `#!/bin/sh\necho "unknown option '--answer-checks'" >&2\nexit 2\n`);
  chmodSync(script, 0o755);
  const args = ['verify', '-e', script, source, 'host:/x'];
  await lvmsyncFails(args, 5, /unknown option '--answer-checks'/);
});

test('when a sender has data for a target that is verified then it is refused and nothing is written', async () => {
  const target = path('hostile');
  writeFileSync(target, Buffer.alloc(65536, 'x'));
  for (const record of [
    encodeRecord(TYPE.data, [[0, 4096]], Buffer.alloc(4096)),
    encodeRecord(TYPE.zero, [[0, 4096]]),
    encodeRecord(TYPE.discard, [[0, 4096]]),
  ]) {
    const input = Buffer.concat([LABEL, encodeHello(65536), record, encodeEnd([record])]);
    const args = ['--apply', '-', '--answer-checks', '--protocol', '4', target];
    const { status, stdout } = await lvmsync(args, { input });
    assert.equal(status, 7);
    const last = decodeRecord(splitStream(stdout).at(-1)!);
    assert.equal(last.type, TYPE.refuse);
    assert.match(last.payload.toString(), /not for a target that is verified/);
  }
  assert.ok(readFileSync(target).equals(Buffer.alloc(65536, 'x')));
});

describe('a source that changes while it is verified', () => {
  /** Compares in this process, with a say in what is read of the source. */
  async function verifyWith(
    target: string,
    onRead: (offset: number, bytes: Buffer, reading: number) => void,
    options: Partial<VerifyOptions>,
  ) {
    const { engine } = loadEngine('auto');
    const { source: whole, live } = await openNamedSource(source, engine);
    const readings = new Map<number, number>();
    const data: typeof whole.data = {
      ...whole.data,
      async read(batch) {
        await whole.data.read(batch);
        for (let i = 0; i < batch.count; i++) {
          const offset = batch.offsets[i]!;
          const reading = (readings.get(offset) ?? 0) + 1;
          readings.set(offset, reading);
          const position = batch.positions[i]!;
          onRead(offset, batch.buffer.subarray(position, position + batch.lengths[i]!), reading);
        }
      },
    };
    const unexpected = async (): Promise<Channel> => assert.fail('nothing is to be sent');
    try {
      return await verify({
        source: { ...whole, data },
        engine,
        live,
        version: 'test',
        command: 'lvmsync',
        timeoutMs: 60_000,
        retries: 0,
        onStderr: () => {},
        open: unexpected,
        openVerifier: async () =>
          localChannel((input, answers) =>
            verifyTarget({ input, answers, targetPath: target, engine }),
          ),
        ...options,
      });
    } finally {
      await whole.close();
    }
  }

  test('when what differed does not any more, when it is read again, then it is not told as a difference', async () => {
    const { target } = differingTarget('settling', 1);
    for (const settledAt of [2, 3, 4]) {
      const other = 40 * MIB; // read once in a piece that begins here, then as a block
      const report = await verifyWith(
        target,
        (offset, bytes, reading) => {
          if (offset === other && reading < settledAt) bytes[0]! ^= 1;
        },
        {},
      );
      assert.equal(report.differing.extentCount, 1);
      assert.ok([...report.differing.slices()][0]!.offsets[0] !== other);
      assert.equal(report.settledBytes, settledAt === 2 ? 0 : BLOCK_BYTES);
    }
  });

  test('when it is no live one then it is read twice and no more', async () => {
    let readings = 0;
    const report = await verifyWith(
      path('settling'),
      (offset, bytes, reading) => {
        if (offset !== 40 * MIB) return;
        readings = reading;
        bytes[0]! ^= 1;
      },
      { live: false },
    );
    assert.equal(report.differing.extentCount, 2);
    assert.equal(readings, 2);
  });

  test('when a process keeps writing to a block then the rest is repaired, and that one is told as differing', async () => {
    const { target } = differingTarget('restless', 20);
    const restless = path('restless-source');
    writeFileSync(restless, content);
    const program = `const fs = require('fs'); const fd = fs.openSync(${JSON.stringify(restless)}, 'r+');
      for (let i = 0; ; i++) { const b = Buffer.alloc(4096, String(i)); fs.writeSync(fd, b, 0, 4096, ${30 * MIB}); }`;
    const writer = spawn(process.execPath, ['-e', program], { stdio: 'ignore' });
    try {
      await new Promise((resolve) => setTimeout(resolve, 500));
      const args = ['verify', '--repair', restless, '-e', rsh(), `host:${target}`];
      const { status, stderr } = await lvmsync(args);
      assert.equal(status, 1, stderr);
      assert.match(stderr, /differ again after they were sent/);
      assert.match(stderr, /4096 bytes in 1 range still differ after/);
    } finally {
      await endProcess(writer);
    }
    const fd = openSync(restless, 'r+');
    writeSync(fd, content, 30 * MIB, BLOCK_BYTES, 30 * MIB);
    closeSync(fd);
    const { stdout } = await lvmsync(['verify', restless, target]);
    assert.equal(stdout.toString(), `${30 * MIB} ${BLOCK_BYTES}\n`, 'that one alone');
  });
});

test("when the receiver fails while it is asked then the failure is the receiver's", async () => {
  const { engine } = loadEngine('auto');
  const { source: whole } = await openNamedSource(source, engine);
  const gone = new LvmsyncError('READ_FAILED', 'cannot read: EIO');
  const { target } = differingTarget('failing', 0);
  const failing: typeof engine = {
    ...engine,
    async open(name, options) {
      const file = await engine.open(name, options);
      let reads = 0;
      return {
        ...file,
        async read(batch) {
          if (++reads === 20) throw gone;
          await file.read(batch);
        },
      };
    },
  };
  const run = verify({
    source: whole,
    engine,
    version: 'test',
    command: 'lvmsync',
    timeoutMs: 60_000,
    retries: 0,
    onStderr: () => {},
    open: async () => assert.fail('nothing is to be sent'),
    openVerifier: async () =>
      localChannel((input, answers) =>
        verifyTarget({ input, answers, targetPath: target, engine: failing }),
      ),
  });
  await assert.rejects(run, /local: cannot read: EIO/);
  await whole.close();
});
