/** Targets that are not what they should be: refused, and left as they are. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { createRandom } from '../support/random.js';
import {
  assertClear,
  claimsSuccess,
  firstMessage,
  type Kind,
  kind,
  printed,
  runKind,
} from './kinds.js';
import { appendRow, assertRow } from './matrix.js';
import { createScene, type Scene } from './scene.js';

const scene = createScene(9);
const KINDS = [
  kind('local', 4),
  kind('local', 3),
  kind('rsh', 4),
  kind('rsh', 3),
  kind('pipe', 4),
  kind('pipe', 3),
  kind('file', 4),
  kind('file', 3),
];
const REFUSED = 3;

interface Attempt {
  fault: string;
  path: string;
  options?: string[];
  message: RegExp;
  /** Statuses of whoever looks at the target; a sender that only hears of it over PROTO[3] says 5. */
  statuses?: number[];
  /** What it is to hold afterwards; a special file holds nothing. */
  content?: Buffer;
  /** Whether the protocol has no way to tell before it writes. */
  late?: boolean;
}

/** Runs one kind against a bad target and records that it is refused and untouched. */
async function attempt(kind: Kind, scene: Scene, options: Attempt): Promise<void> {
  const { fault, path, message, content, statuses = [REFUSED], late = false } = options;
  const ends = await runKind(scene, kind, path, { options: options.options ?? [] });
  const succeeded = claimsSuccess(ends);
  const untouched = content === undefined || readFileSync(path).equals(content);
  const row = {
    kind: kind.name,
    fault: `target: ${fault}`,
    outcome: succeeded ? 'succeeded' : untouched ? 'refused' : 'failed',
    exits: [ends.sender, ends.receiver].flatMap((end) =>
      end ? [end.status ?? `${end.signal}`] : [],
    ),
    message: firstMessage(ends),
    target: untouched ? 'base' : 'torn',
    healed: undefined,
    falseSuccess: succeeded,
    lostData: !untouched && !late,
  } as const;
  appendRow(row);
  assertRow(row);
  const what = `${JSON.stringify(row)}\n${printed(ends)}`;
  for (const end of [ends.sender, ends.receiver]) if (end) assertClear(end, what);
  assert.match(printed(ends), message, what);
  const judge = ends.receiver ?? ends.sender;
  assert.ok(statuses.includes(judge?.status ?? -1), what);
}

for (const kind of KINDS) {
  test(`when the target of a ${kind.name} run cannot be one then nothing is written`, async () => {
    const directory = scene.freshPath('directory');
    mkdirSync(directory);
    const fifo = scene.freshPath('fifo');
    execFileSync('mkfifo', [fifo]);
    await attempt(kind, scene, {
      fault: 'a directory',
      path: directory,
      message: /is a directory/,
    });
    await attempt(kind, scene, {
      fault: 'a character device',
      path: '/dev/null',
      message: /is a character device/,
    });
    await attempt(kind, scene, { fault: 'a fifo', path: fifo, message: /is a named pipe/ });
    await attempt(kind, scene, {
      fault: 'missing',
      path: scene.freshPath('missing'),
      message: /does not exist/,
    });
  });

  test(`when the target of a ${kind.name} run is too small then that is said`, async () => {
    const path = scene.createTarget();
    const bytes = scene.base.length / 2;
    truncateSync(path, bytes);
    const blind = kind.protocol === 3 && kind.way !== 'local';
    await attempt(kind, scene, {
      fault: 'too small',
      path,
      content: scene.base.subarray(0, bytes),
      message: blind ? /beyond the target/ : /too small|has \d+ bytes/,
      statuses: blind ? [7] : [REFUSED],
      late: blind && kind.way !== 'file',
    });
  });

  test(`when the target of a ${kind.name} run holds another base then that is refused, where it can be seen`, async () => {
    const path = scene.freshPath('other');
    const other = createRandom(90).bytes(scene.base.length);
    writeFileSync(path, other);
    if (kind.protocol === 4 && kind.way !== 'pipe' && kind.way !== 'file') {
      await attempt(kind, scene, {
        fault: 'wrong base',
        path,
        content: other,
        message: /does not hold what the changes were made to.*\d+\+\d+/,
        statuses: [REFUSED, 7],
      });
    }
    const unchecked = kind.protocol === 4 && kind.way !== 'file' ? ['--no-verify-base'] : [];
    const ends = await runKind(scene, kind, path, { options: unchecked });
    assert.ok(claimsSuccess(ends), printed(ends));
    const after = readFileSync(path);
    const expected = Buffer.from(other);
    for (const [sector, changed] of scene.changed.entries()) {
      if (changed) scene.new.copy(expected, sector * 512, sector * 512, (sector + 1) * 512);
    }
    assert.ok(after.equals(expected), 'the changes are written and nothing else is');
    if (unchecked.length > 0 && kind.way !== 'pipe') return;
    appendRow({
      kind: kind.name,
      fault: 'target: wrong base',
      outcome: 'undetectable',
      exits: [0],
      message: '',
      target: 'torn',
      healed: undefined,
      falseSuccess: false,
      lostData: false,
    });
  });
}

for (const kind of [KINDS[0]!, KINDS[1]!]) {
  test(`when the target of a ${kind.name} run is its source then not even --force helps`, async () => {
    for (const path of [scene.originPath, scene.storePath]) {
      for (const options of [[], ['--force']]) {
        await attempt(kind, scene, {
          fault: 'the source',
          path,
          options,
          content: readFileSync(path),
          message: /is the source/,
        });
      }
    }
  });
}

for (const kind of [KINDS[0]!, KINDS[2]!, KINDS[7]!]) {
  test(`when the target of a ${kind.name} run is read-only then nothing is written`, async (context) => {
    const path = scene.createTarget();
    try {
      execFileSync('chattr', ['+i', path], { stdio: 'ignore' });
    } catch {
      context.skip('this file system knows no immutable files');
      return;
    }
    try {
      await attempt(kind, scene, {
        fault: 'read-only',
        path,
        content: scene.base,
        message: /cannot be read and written|cannot open/,
        statuses: [REFUSED, 6],
      });
    } finally {
      execFileSync('chattr', ['-i', path]);
    }
  });
}
