import type { BigIntStats } from 'node:fs';
import { constants } from 'node:fs';
import { LvmsyncError } from '../errors.js';
import { access, stat } from '../files.js';
import { describeErrno, reasonOf } from './errno.js';
import {
  type DeviceFacts,
  deviceId,
  loopBackingFile,
  loopsOnFile,
  type RelatedDevice,
  readDeviceFacts,
  relatedDevices,
} from './guard-devices.js';
import { readMounts, readSwaps, type VisibleMount } from './guard-mounts.js';

/** A reason not to write to a target, and whether a person may insist (`--force`). */
export interface TargetFinding {
  readonly error: LvmsyncError;
  readonly overridable: boolean;
}

/** A block device or an existing regular file, looked at but not opened. */
export interface Target {
  readonly path: string;
  readonly kind: 'block-device' | 'file';
  readonly sizeBytes: number;
  /** Empty when nothing speaks against writing to it. */
  readonly findings: readonly TargetFinding[];
}

export interface TargetNeeds {
  /** What the target has to hold, where that is known; a larger target is fine. */
  needBytes?: number | undefined;
  /** What is read in the same run on the same machine: snapshot, origin, store, data source. */
  sourcePaths?: readonly string[] | undefined;
  /** It is not going to be written: what speaks against writing alone is left out. */
  onlyRead?: boolean | undefined;
}

/** What is common to the checks below. */
interface Subject {
  readonly path: string;
  readonly kind: Target['kind'];
  readonly sizeBytes: number;
  /** Of a block device. */
  readonly device?: DeviceFacts;
  /** The file itself, or the one behind a loop device. */
  readonly file: BigIntStats | undefined;
  /** The devices that share bytes with the target or are built on it. */
  readonly related: readonly RelatedDevice[];
}

/**
 * Looks at what is to be written, without opening it. This is for good messages: between the look
 * and the write anything may change, so whoever writes also opens block devices with O_EXCL
 * (`exclusive` of the engine), which has the kernel refuse one that is mounted or held.
 *
 * @throws LvmsyncError TARGET_UNSUITABLE when it is neither a block device nor a regular file;
 *   whatever else speaks against it is in `findings`
 */
export async function inspectTarget(path: string, needs: TargetNeeds = {}): Promise<Target> {
  const stats = await statTarget(path, needs.needBytes);
  const subject = stats.isBlockDevice()
    ? await lookAtDevice(path, stats)
    : await lookAtFile(path, stats);
  const { kind, sizeBytes } = subject;
  return { path, kind, sizeBytes, findings: await findAll(subject, needs) };
}

async function findAll(subject: Subject, needs: TargetNeeds): Promise<TargetFinding[]> {
  const { sourcePaths = [], needBytes = 0, onlyRead = false } = needs;
  const tooSmall = findTooSmall(subject, needBytes);
  if (onlyRead) {
    // A target that shares bytes with the source can still be compared with it, but not with itself.
    const itself = { ...subject, related: subject.related.filter(isItself) };
    const [sources, mounts] = await Promise.all([
      findSources(itself, sourcePaths),
      findMounts(subject, true),
    ]);
    return [...sources, ...tooSmall, ...mounts];
  }
  const [sources, readOnly, swap, mounts] = await Promise.all([
    findSources(subject, sourcePaths),
    findReadOnly(subject),
    findSwap(subject),
    findMounts(subject, false),
  ]);
  return [
    ...[...sources, ...readOnly, ...swap, ...tooSmall, ...mounts],
    ...[...findInternal(subject), ...findHolders(subject)],
  ];
}

function isItself({ relation }: RelatedDevice): boolean {
  return relation === 'self';
}

/**
 * Refuses a target that must not be written to.
 *
 * @returns what `force` overrode, to be shown as warnings
 * @throws LvmsyncError TARGET_UNSUITABLE, TARGET_IN_USE or TARGET_TOO_SMALL: the first finding
 *   that cannot be overridden, or else the first one when not forced
 */
export function assertTargetUsable(target: Target, options: { force: boolean }): LvmsyncError[] {
  const final = target.findings.find((finding) => !finding.overridable);
  const refusal = final ?? (options.force ? undefined : target.findings[0]);
  if (refusal !== undefined) {
    throw refusal.error;
  }
  return target.findings.map((finding) => finding.error);
}

async function statTarget(path: string, needBytes: number | undefined): Promise<BigIntStats> {
  const stats = await stat(path, { bigint: true }).catch((cause: NodeJS.ErrnoException) => {
    const missing = cause.code === 'ENOENT';
    throw new LvmsyncError(
      'TARGET_UNSUITABLE',
      missing ? `${path} does not exist` : `cannot look at ${path}: ${reasonOf(cause).words}`,
      {
        path,
        ...(cause.code === undefined ? {} : { errno: cause.code }),
        hint: missing
          ? `lvmsync creates no targets: create a logical volume first (lvcreate --size ${
              needBytes === undefined ? 'SIZE' : `${needBytes}b`
            } --name NAME VG), or activate it (lvchange --activate y VG/NAME)`
          : 'check the path and the permissions of its directories',
        cause,
      },
    );
  });
  const wrongKind = stats.isDirectory()
    ? 'a directory'
    : stats.isCharacterDevice()
      ? 'a character device'
      : stats.isFIFO()
        ? 'a named pipe'
        : stats.isSocket()
          ? 'a socket'
          : undefined;
  if (wrongKind !== undefined) {
    throw new LvmsyncError('TARGET_UNSUITABLE', `${path} is ${wrongKind}`, {
      path,
      hint: 'name a block device or an existing regular file',
    });
  }
  return stats;
}

async function lookAtFile(path: string, file: BigIntStats): Promise<Subject> {
  const related: RelatedDevice[] = [];
  for (const loop of await loopsOnFile(file)) {
    for (const device of await relatedDevices(loop)) {
      related.push({ ...device, relation: 'holder' });
    }
  }
  return { path, kind: 'file', sizeBytes: Number(file.size), file, related };
}

async function lookAtDevice(path: string, stats: BigIntStats): Promise<Subject> {
  const id = deviceId(stats.rdev);
  const device = await readDeviceFacts(id);
  if (device === undefined || device.sizeBytes === 0) {
    throw new LvmsyncError('TARGET_UNSUITABLE', `${path} has no device behind it (${id})`, {
      path,
      hint: 'the volume is not active, the disk is gone, or /sys is not mounted',
    });
  }
  const { sizeBytes } = device;
  const file = await loopBackingFile(id);
  return { path, kind: 'block-device', sizeBytes, device, file, related: await relatedDevices(id) };
}

function findInternal({ path, device }: Subject): TargetFinding[] {
  const layer = lvmLayer(device?.dmUuid);
  if (layer === undefined) {
    return [];
  }
  const message = `${path} is an internal part of a logical volume (its ${layer} layer)`;
  const hint = 'name the logical volume itself, as lvs lists it';
  return [finding('TARGET_UNSUITABLE', path, message, { hint, overridable: true })];
}

/**
 * The layer of an LVM device that users should not touch: `cow`, `real`, `tdata`. LVM's uuids are
 * `LVM-`, 32 characters of the volume group, 32 of the logical volume, and for a device that is
 * only a part of one a hyphen and the layer's name (lvm2, lib/activate/dev_manager.c).
 */
export function lvmLayer(dmUuid: string | undefined): string | undefined {
  return dmUuid?.match(/^LVM-[A-Za-z0-9]{64}-(.+)$/)?.[1];
}

async function findSources(subject: Subject, sources: readonly string[]): Promise<TargetFinding[]> {
  const findings: TargetFinding[] = [];
  for (const source of sources) {
    const message = await sourceConflict(subject, source);
    if (message !== undefined) {
      const hint = 'name another device: writing there would destroy what is being read';
      findings.push(finding('TARGET_UNSUITABLE', subject.path, message, { hint }));
    }
  }
  return findings;
}

async function sourceConflict(subject: Subject, source: string): Promise<string | undefined> {
  const { path } = subject;
  // A source that cannot be looked at fails with its own message, where it is opened.
  const stats = await stat(source, { bigint: true }).catch(() => undefined);
  if (stats === undefined) {
    return undefined;
  }
  const sourceId = stats.isBlockDevice() ? deviceId(stats.rdev) : undefined;
  const sourceFile = sourceId === undefined ? stats : await loopBackingFile(sourceId);
  const shared = subject.related.find((device) => device.id === sourceId);
  if (shared?.relation === 'self' || isSameFile(subject.file, sourceFile)) {
    return path === source ? `${path} is the source` : `${path} is the source, ${source}`;
  }
  if (shared?.relation === 'holder') {
    return `${path} carries the source, ${source}`;
  }
  return shared && `${path} shares its bytes with the source, ${source}`;
}

async function findReadOnly({ path, device }: Subject): Promise<TargetFinding[]> {
  if (device?.readOnly) {
    const hint = 'make it writable (lvchange --permission rw, or blockdev --setrw) or name another';
    return [finding('TARGET_UNSUITABLE', path, `${path} is read-only`, { hint })];
  }
  try {
    // Asked as the calling user: permissions, read-only file systems, immutable files.
    await access(path, constants.R_OK | constants.W_OK);
    return [];
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'unknown';
    const message = `${path} cannot be read and written: ${describeErrno(errno)}`;
    const hint = 'run lvmsync as a user who may (root for block devices), or name another target';
    return [finding('TARGET_UNSUITABLE', path, message, { errno, hint })];
  }
}

async function findSwap(subject: Subject): Promise<TargetFinding[]> {
  for (const swap of readSwaps()) {
    const stats = await stat(swap, { bigint: true }).catch(() => undefined);
    const isOurs = stats?.isBlockDevice()
      ? subject.related.some((device) => device.id === deviceId(stats.rdev))
      : isSameFile(subject.file, stats);
    if (isOurs) {
      return [
        finding('TARGET_IN_USE', subject.path, `${subject.path} is in use as swap (${swap})`, {
          hint: `run swapoff ${swap} first, if it is really the target you mean`,
        }),
      ];
    }
  }
  return [];
}

async function findMounts(subject: Subject, writableOnly: boolean): Promise<TargetFinding[]> {
  const { path } = subject;
  if (subject.related.length === 0) {
    return [];
  }
  const found: string[] = [];
  for (const mount of await readMounts()) {
    if (writableOnly && mount.readOnly) continue;
    const id = await mountedDevice(mount);
    const device = subject.related.find((candidate) => candidate.id === id);
    if (device !== undefined) {
      const via = device.relation === 'self' ? '' : ` (as ${device.name})`;
      const where =
        mount.otherNamespaceOfPid === undefined
          ? ''
          : ` in the mount namespace of process ${mount.otherNamespaceOfPid}`;
      found.push(`${mount.mountPoint}${where}${via}`);
    }
  }
  if (found.length === 0) {
    return [];
  }
  const more = found.length === 1 ? '' : ` and ${found.length - 1} more`;
  return [
    finding('TARGET_IN_USE', path, `${path} is mounted on ${found[0]}${more}`, {
      hint: 'unmount it first: a mounted file system does not survive a write beneath it',
      overridable: true,
    }),
  ];
}

/** btrfs and others with a device number of their own show a device only as what was mounted. */
async function mountedDevice(mount: VisibleMount): Promise<string | undefined> {
  if (!mount.device.startsWith('0:')) {
    return mount.device;
  }
  if (!mount.source.startsWith('/dev/')) {
    return undefined;
  }
  const stats = await stat(mount.source, { bigint: true }).catch(() => undefined);
  return stats?.isBlockDevice() ? deviceId(stats.rdev) : undefined;
}

function findHolders({ path, related }: Subject): TargetFinding[] {
  const names = related.filter(({ relation }) => relation === 'holder').map(({ name }) => name);
  if (names.length === 0) {
    return [];
  }
  return [
    finding('TARGET_IN_USE', path, `${path} is held by ${names.join(', ')}`, {
      hint: 'deactivate what is built on it first (lvchange --activate n, losetup --detach)',
      overridable: true,
    }),
  ];
}

function findTooSmall({ path, sizeBytes }: Subject, needBytes: number): TargetFinding[] {
  if (sizeBytes >= needBytes) {
    return [];
  }
  const message = `${path} is too small: it holds ${sizeBytes} bytes, ${needBytes} are needed`;
  const hint = 'extend it to at least the size of the source (lvextend), or name a larger one';
  return [finding('TARGET_TOO_SMALL', path, message, { hint })];
}

function isSameFile(one: BigIntStats | undefined, other: BigIntStats | undefined): boolean {
  return one !== undefined && one.dev === other?.dev && one.ino === other.ino;
}

function finding(
  code: 'TARGET_UNSUITABLE' | 'TARGET_IN_USE' | 'TARGET_TOO_SMALL',
  path: string,
  message: string,
  { hint, errno, overridable = false }: { hint: string; errno?: string; overridable?: boolean },
): TargetFinding {
  const details = { path, hint, ...(errno === undefined ? {} : { errno }) };
  return { error: new LvmsyncError(code, message, details), overridable };
}
