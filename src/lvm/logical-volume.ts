import { LvmsyncError } from '../errors.js';
import { firstLine, runTool, toolError } from './run-tool.js';

/** What LVM knows of a volume. */
export interface LogicalVolume {
  vgName: string;
  vgUuid: string;
  lvName: string;
  lvUuid: string;
  /** Seconds since 1970; undefined when LVM has not recorded it. */
  createdAt: number | undefined;
  /** `MAJOR:MINOR`, or undefined while it is not active. */
  device: string | undefined;
  sizeBytes: number;
  /** LVM's ten letters, as in lvs(8): the first tells what kind of volume it is. */
  attributes: string;
  tags: string[];
  /** Of a snapshot, thick or thin, whose origin is there. */
  originUuid: string | undefined;
  /** Undefined for anything but a thin volume. */
  thin: ThinVolumeFields | undefined;
}

export interface ThinVolumeFields {
  /** The pool's own number of the volume; of two that are there, the later one has the higher. */
  id: number;
  poolUuid: string;
  /** What it was taken of; undefined for what is no snapshot, or whose origin was removed. */
  originUuid: string | undefined;
}

const FIELDS = [
  ...['vg_name', 'vg_uuid', 'lv_name', 'lv_uuid', 'lv_time', 'lv_kernel_major', 'lv_kernel_minor'],
  ...['thin_id', 'pool_lv_uuid', 'origin_uuid', 'lv_size', 'lv_attr', 'lv_tags'],
];
const LVS_ARGS = [
  ...['--all', '--reportformat', 'json', '--units', 'b', '--nosuffix'],
  ...['--options', FIELDS.join(',')],
  ...['--config', 'report/time_format="%s"'],
];

/** The prefix of device-mapper's uuid of every LVM device: then the VG's, then the LV's. */
const DM_UUID = /^LVM-[0-9A-Za-z!#]{32}([0-9A-Za-z!#]{32})$/;

/**
 * Looks a volume up by a name that LVM knows: `VG/LV`, `/dev/VG/LV`, `/dev/mapper/...`.
 *
 * @throws LvmsyncError VOLUME_NOT_FOUND, TOOL_MISSING, TOOL_FAILED
 */
export async function findVolumeByName(name: string): Promise<LogicalVolume> {
  const output = await runTool('lvs', [...LVS_ARGS, '--', name]);
  if (output.status !== 0) {
    const words = firstLine(output.stderr);
    const isUnknown = words !== undefined && /not found|failed to find|invalid/i.test(words);
    if (!isUnknown) throw toolError('lvs', output);
    throw new LvmsyncError('VOLUME_NOT_FOUND', `there is no volume ${name}: ${words}`, {
      path: name,
      hint: 'see what there is with: lvs',
    });
  }
  const [volume, second] = parseVolumes(output.stdout);
  if (volume !== undefined && second === undefined) return volume;
  throw new LvmsyncError('VOLUME_NOT_FOUND', `${name} is not the name of one volume`, {
    path: name,
    hint: 'name it as VG/LV; see what there is with: lvs',
  });
}

/**
 * Looks a volume up by its device's device-mapper uuid. Undefined when it is not a volume that
 * LVM knows: made by dmsetup, or a part of a volume such as a snapshot's -cow device.
 *
 * @throws LvmsyncError TOOL_MISSING, TOOL_FAILED
 */
export async function findVolumeByDmUuid(
  dmUuid: string | undefined,
): Promise<LogicalVolume | undefined> {
  const digits = DM_UUID.exec(dmUuid ?? '')?.[1];
  if (digits === undefined) return undefined;
  const lvUuid = digits.replace(
    /^(.{6})(.{4})(.{4})(.{4})(.{4})(.{4})(.{6})$/,
    '$1-$2-$3-$4-$5-$6-$7',
  );
  return findVolumeByUuid(lvUuid);
}

/** @param lvUuid as LVM writes it. @throws LvmsyncError TOOL_MISSING, TOOL_FAILED */
export async function findVolumeByUuid(lvUuid: string): Promise<LogicalVolume | undefined> {
  return (await selectVolumes(`lv_uuid="${lvUuid}"`))[0];
}

/** All snapshots of a volume, thick and thin. @throws LvmsyncError TOOL_MISSING, TOOL_FAILED */
export function findSnapshotsOf(lvUuid: string): Promise<LogicalVolume[]> {
  return selectVolumes(`origin_uuid="${lvUuid}"`);
}

/** All volumes that carry a tag. @throws LvmsyncError TOOL_MISSING, TOOL_FAILED */
export function findTaggedVolumes(tag: string): Promise<LogicalVolume[]> {
  return selectVolumes(`lv_tags="${tag}"`);
}

/** Every volume, hidden ones too. @throws LvmsyncError TOOL_MISSING, TOOL_FAILED */
export function listVolumes(): Promise<LogicalVolume[]> {
  return selectVolumes();
}

async function selectVolumes(selection?: string): Promise<LogicalVolume[]> {
  const select = selection === undefined ? [] : ['--select', selection];
  const output = await runTool('lvs', [...LVS_ARGS, ...select]);
  // Another volume group in trouble is reason enough for lvs to fail.
  const volumes = output.stdout.trim() === '' ? [] : parseVolumes(output.stdout);
  if (volumes.length === 0 && output.status !== 0) throw toolError('lvs', output);
  return volumes;
}

/** The volumes in what `lvs --reportformat json` printed. @throws LvmsyncError TOOL_FAILED */
export function parseVolumes(text: string): LogicalVolume[] {
  const parsed = parseJson(text);
  const reports = isRecord(parsed) ? parsed.report : undefined;
  if (!Array.isArray(reports)) throw unreadable('no report');
  return reports.flatMap((report: unknown) => {
    const rows = isRecord(report) ? report.lv : undefined;
    if (!Array.isArray(rows)) throw unreadable('a report without volumes');
    return rows.map(parseVolume);
  });
}

function parseVolume(row: unknown): LogicalVolume {
  const field = (name: string): string => {
    const value = isRecord(row) ? row[name] : undefined;
    if (typeof value !== 'string') throw unreadable(`a volume without ${name}`);
    return value;
  };
  const isActive = /^\d+$/.test(field('lv_kernel_major')) && /^\d+$/.test(field('lv_kernel_minor'));
  const time = field('lv_time');
  const sizeBytes = Number(field('lv_size'));
  if (!Number.isSafeInteger(sizeBytes)) throw unreadable('a volume without a size');
  const originUuid = field('origin_uuid') || undefined;
  return {
    vgName: field('vg_name'),
    vgUuid: field('vg_uuid'),
    lvName: field('lv_name').replace(/^\[(.*)\]$/, '$1'), // hidden volumes are in brackets
    lvUuid: field('lv_uuid'),
    createdAt: /^\d+$/.test(time) ? Number(time) : undefined,
    device: isActive ? `${field('lv_kernel_major')}:${field('lv_kernel_minor')}` : undefined,
    sizeBytes,
    attributes: field('lv_attr'),
    tags: field('lv_tags')
      .split(',')
      .filter((tag) => tag !== ''),
    originUuid,
    thin: parseThinFields(field('thin_id'), field('pool_lv_uuid'), originUuid),
  };
}

function parseThinFields(
  id: string,
  poolUuid: string,
  originUuid: string | undefined,
): ThinVolumeFields | undefined {
  if (!/^\d+$/.test(id)) return undefined;
  return { id: Number(id), poolUuid, originUuid };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(error instanceof Error ? error.message : 'no JSON');
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unreadable(what: string): LvmsyncError {
  return new LvmsyncError('TOOL_FAILED', `lvs printed what lvmsync cannot read: ${what}`, {
    hint: 'report it, with your LVM version (lvs --version)',
  });
}
