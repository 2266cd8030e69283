/** Fields of a state that was read from a file: nothing of it is believed before it is looked at. */

/** Raised by the functions below: what is wrong, in words. */
type Fields = Record<string, unknown>;

const MAX_TEXT_BYTES = 64 * 1024;
const MAX_ITEMS = 64;
const MAX_WORD = 4096;
const UUID = /^[0-9A-Za-z-]{38}$/;

/** LVM's own limit is 127 characters for a name. */
const MAX_ORIGIN_CHARACTERS = 100;

/** An origin as a state names it. */
export interface OriginRecord {
  /** `vg/lv`, for people. */
  name: string;
  vgUuid: string;
  lvUuid: string;
}

/** @throws Error saying what is wrong with it */
export function parseVersioned(text: string, version: number): Fields {
  if (text.length > MAX_TEXT_BYTES) throw new Error('it is too long');
  const fields = object(JSON.parse(text), 'it');
  if (fields.version !== version) throw new Error(`its version is ${String(fields.version)}`);
  return fields;
}

export function formatVersioned(state: object, version: number): string {
  return `${JSON.stringify({ version, ...state }, undefined, 2)}\n`;
}

export function object(value: unknown, name: string): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Error(`${name} is no object`);
}

export function list(value: unknown, name: string): unknown[] {
  if (Array.isArray(value) && value.length <= MAX_ITEMS) return value;
  throw new Error(`${name} is no list, or a long one`);
}

export function matching(value: unknown, name: string, pattern: RegExp): string {
  if (typeof value === 'string' && value.length <= MAX_WORD && pattern.test(value)) return value;
  throw new Error(`${name} is not what it should be`);
}

export function count(value: unknown, name: string): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`${name} is no count`);
}

export function truth(value: unknown, name: string): boolean {
  if (typeof value === 'boolean') return value;
  throw new Error(`${name} is neither true nor false`);
}

export function optional<T>(value: unknown, parse: (value: unknown) => T): T | undefined {
  return value === undefined ? undefined : parse(value);
}

/** Eight hexadecimal digits. */
export function parseId(value: unknown): string {
  return matching(value, 'id', /^[0-9a-f]{8}$/);
}

export function parseVolumeName(value: unknown): string {
  return matching(value, 'a snapshot', /^[A-Za-z0-9_.+][A-Za-z0-9_.+-]{0,126}$/);
}

export function parseOrigin(value: unknown): OriginRecord {
  const origin = object(value, 'origin');
  return {
    name: matching(origin.name, 'name', /^[A-Za-z0-9_.+/-]+$/),
    vgUuid: matching(origin.vgUuid, 'vgUuid', UUID),
    lvUuid: matching(origin.lvUuid, 'lvUuid', UUID),
  };
}

export function parseDestinationName(value: unknown): string {
  return matching(value, 'destination', /./s);
}

/** Of a snapshot that lvmsync takes itself: it tells whose it is at a glance. */
export function snapshotName(lvName: string, id: string, number: number): string {
  return `${lvName.slice(0, MAX_ORIGIN_CHARACTERS)}_lvmsync_${id}_${number}`;
}
