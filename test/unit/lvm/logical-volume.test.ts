import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LvmsyncError } from '#lvmsync/errors.js';
import { findVolumeByDmUuid, parseVolumes } from '#lvmsync/lvm/logical-volume.js';
import { readFixtureText } from '../../support/thick-fixtures.js';

/** A row as LVM 2.03 prints it. */
const ROW = {
  vg_name: 'v-g.1+_',
  vg_uuid: 'FhwLzS-Fu1b-cvHA-F9r9-zNHc-3vqC-NlozQO',
  lv_name: 's-1',
  lv_uuid: 'YyZ8DC-mvQK-w0op-6b31-XOsd-FJvY-G4u4vN',
  lv_time: '1795300092',
  lv_kernel_major: '254',
  lv_kernel_minor: '3',
  thin_id: '',
  pool_lv_uuid: '',
  origin_uuid: '',
  lv_size: '16777216',
  lv_attr: '-wi-a-----',
  lv_tags: 'one,two',
};

function report(...rows: unknown[]): string {
  return JSON.stringify({ report: [{ lv: rows }] });
}

test('when a volume is active then all of it is known', () => {
  assert.deepEqual(parseVolumes(report(ROW)), [
    {
      vgName: 'v-g.1+_',
      vgUuid: 'FhwLzS-Fu1b-cvHA-F9r9-zNHc-3vqC-NlozQO',
      lvName: 's-1',
      lvUuid: 'YyZ8DC-mvQK-w0op-6b31-XOsd-FJvY-G4u4vN',
      createdAt: 1795300092,
      device: '254:3',
      sizeBytes: 16_777_216,
      attributes: '-wi-a-----',
      tags: ['one', 'two'],
      originUuid: undefined,
      thin: undefined,
    },
  ]);
});

test('when a volume is inactive, hidden, thin or without a time then that is known', () => {
  const [volume] = parseVolumes(
    report({
      ...ROW,
      lv_name: '[s-1]',
      lv_kernel_major: '-1',
      lv_kernel_minor: '-1',
      thin_id: '7',
      pool_lv_uuid: 'pool',
      lv_time: '2026-11-21 22:28:12 +0000',
    }),
  );
  assert.equal(volume!.lvName, 's-1');
  assert.equal(volume!.device, undefined);
  assert.deepEqual(volume!.thin, { id: 7, poolUuid: 'pool', originUuid: undefined });
  assert.equal(volume!.createdAt, undefined);
});

test('when there is no volume then the list is empty', () => {
  assert.deepEqual(parseVolumes(report()), []);
});

test('when the output is odd then that is an error', () => {
  const odd = [
    '',
    'nonsense',
    '[]',
    'null',
    '{}',
    '{"report":{}}',
    '{"report":[null]}',
    '{"report":[{"lv":{}}]}',
    report(null),
    report([]),
    report({ ...ROW, vg_name: 7 }),
    report({ ...ROW, lv_uuid: undefined }),
    report({ ...ROW, lv_size: '16m' }),
    report(ROW).slice(0, -3),
    readFixtureText('thick-4k', 'lvs.json'), // real, but other fields were asked for
  ];
  for (const text of odd) {
    assert.throws(
      () => parseVolumes(text),
      (error) => error instanceof LvmsyncError && error.code === 'TOOL_FAILED',
      text,
    );
  }
});

test('when a device is no whole LVM volume then LVM is not asked', async () => {
  const digits = 'FhwLzSFu1bcvHAF9r9zNHc3vqCNlozQOYyZ8DCmvQKw0op6b31XOsdFJvYG4u4vN';
  for (const uuid of [undefined, '', 'CRYPT-LUKS2-x', `LVM-${digits}-cow`, 'LVM-short']) {
    assert.equal(await findVolumeByDmUuid(uuid), undefined);
  }
});
