import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  parseMountinfo,
  parseSwaps,
  readMounts,
  unescapeOctal,
} from '#lvmsync/block/guard-mounts.js';

test('when a mountinfo line has optional fields then the source is found behind the separator', () => {
  const text = [
    '36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 propagate_from:2 - ext4 /dev/root rw,errors=continue',
    '37 35 0:45 / /data rw - btrfs /dev/sdb ro,degraded',
    '',
  ].join('\n');
  assert.deepEqual(parseMountinfo(text), [
    { device: '98:0', mountPoint: '/mnt2', source: '/dev/root', readOnly: false },
    { device: '0:45', mountPoint: '/data', source: '/dev/sdb', readOnly: true },
  ]);
});

test('when a mount point is named - then the separator is still the later one', () => {
  // The kernel prints paths from the root, so that a lone hyphen can only be the separator.
  assert.deepEqual(parseMountinfo('36 35 8:1 / /- rw shared:1 - ext4 /dev/sda1 rw\n'), [
    { device: '8:1', mountPoint: '/-', source: '/dev/sda1', readOnly: false },
  ]);
});

test('when a mount point holds a space, a tab, a newline and a backslash then they come back', () => {
  const [mount] = parseMountinfo(
    '1 2 8:1 / /a\\040b\\011c\\012d\\134e rw - ext4 /dev/my\\040disk rw',
  );
  assert.equal(mount?.mountPoint, '/a b\tc\nd\\e');
  assert.equal(mount?.source, '/dev/my disk');
});

test('when an escape yields a backslash and digits then it is not unescaped again', () => {
  assert.equal(unescapeOctal('\\134040'), '\\040');
});

test('when a backslash starts no octal escape then it stays', () => {
  assert.equal(unescapeOctal('a\\9b\\04'), 'a\\9b\\04');
});

test('when a line is not mountinfo then it is left out', () => {
  assert.deepEqual(
    parseMountinfo('nonsense\n1 2 notadevice / /x rw - ext4 /dev/sda rw\n1 2 8:1 / /x rw'),
    [],
  );
});

test('when a file system has an empty source then the mount still counts', () => {
  assert.deepEqual(parseMountinfo('1 2 8:1 / /x rw - ext4  rw'), [
    { device: '8:1', mountPoint: '/x', source: '', readOnly: false },
  ]);
});

test('when swaps are listed then their paths are unescaped and the heading is not one', () => {
  const text = [
    'Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority',
    '/dev/dm-1                               partition\t1048572\t\t0\t\t-2',
    '/swap\\040file                            file\t\t1024\t\t0\t\t-3',
    '/gone\\040(deleted)  file\t\t1024\t\t0\t\t-4',
    '',
  ].join('\n');
  assert.deepEqual(parseSwaps(text), ['/dev/dm-1', '/swap file', '/gone (deleted)']);
});

test('when nothing is swapped to then the list is empty', () => {
  assert.deepEqual(parseSwaps('Filename\tType\tSize\tUsed\tPriority\n'), []);
  assert.deepEqual(parseSwaps(''), []);
});

test('when this machine is asked then its root is mounted in our own namespace', async () => {
  const root = (await readMounts()).find((mount) => mount.mountPoint === '/');
  assert.match(root?.device ?? '', /^\d+:\d+$/);
  assert.equal(root?.otherNamespaceOfPid, undefined);
});
