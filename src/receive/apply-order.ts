/** In which order several streams are to be applied, or several snapbacks to be rolled back. */
import { mayOverlap } from '../extents/coverage.js';
import type { Inspection } from './inspect-findings.js';

export interface NamedInspection {
  name: string;
  inspection: Inspection;
}

/** Files that are for the same volume, as far as they say. */
export interface OrderGroup {
  kind: 'undo-log' | 'stream' | 'proto3';
  /** What they are for, in the files' own words; undefined where they do not say (PROTO[3]). */
  id: string | undefined;
  /** Snapbacks newest first, to be rolled back; streams oldest first, to be applied. */
  order: string[];
  /** What tells: the beginnings of the runs, the creation of the snapshots, or the files' times. */
  basis: 'begun' | 'snapshot' | 'file';
  /** Pairs that may hold the same places, and of which it is not known which was first. */
  unordered: [string, string][];
}

interface Member extends NamedInspection {
  kind: OrderGroup['kind'];
  group: string;
  basis: OrderGroup['basis'];
  /** In milliseconds since 1970. */
  at: number | undefined;
}

/** A stream's id of LVM's making: group, volume, and when the snapshot was made. */
const SNAPSHOT_ID = /^([0-9A-Za-z-]{38}) [0-9A-Za-z-]{38} (\d{1,12})$/;

/** Those that are damaged are left out, and so is who stands alone. */
export function orderOf(inputs: readonly NamedInspection[]): OrderGroup[] {
  const groups = new Map<string, Member[]>();
  for (const input of inputs) {
    const member = asMember(input);
    if (member === undefined) continue;
    groups.set(member.group, [...(groups.get(member.group) ?? []), member]);
  }
  return [...groups.values()].filter(({ length }) => length > 1).map(orderGroup);
}

function asMember(input: NamedInspection): Member | undefined {
  const { state, kind, header, modifiedAtMs } = input.inspection;
  if (state === 'damaged' || state === 'truncated') return undefined;
  if (kind === 'proto3') {
    return { ...input, kind, group: kind, basis: 'file', at: modifiedAtMs };
  }
  if (header === undefined || kind === 'spool' || kind === 'unknown') return undefined;
  if (kind === 'undo-log') {
    const group = `${kind} ${header.sizeBytes} ${header.id}`;
    const begunAtMs = header.log?.begunAtMs;
    return begunAtMs === undefined
      ? { ...input, kind, group, basis: 'file', at: modifiedAtMs }
      : { ...input, kind, group, basis: 'begun', at: begunAtMs };
  }
  const [, vgUuid, createdAt] = SNAPSHOT_ID.exec(header.id) ?? [];
  const group = `${kind} ${header.sizeBytes} ${vgUuid ?? header.id}`;
  return createdAt === undefined
    ? { ...input, kind, group, basis: 'file', at: modifiedAtMs }
    : { ...input, kind, group, basis: 'snapshot', at: Number(createdAt) * 1000 };
}

function orderGroup(members: Member[]): OrderGroup {
  const [first] = members as [Member, ...Member[]];
  const isRollback = first.kind === 'undo-log';
  const sorted = members.toSorted((one, other) => (one.at ?? 0) - (other.at ?? 0));
  if (isRollback) sorted.reverse();
  return {
    kind: first.kind,
    id: first.inspection.header?.id,
    order: sorted.map(({ name }) => name),
    basis: members.every(({ basis }) => basis === first.basis) ? first.basis : 'file',
    unordered: unorderedPairs(sorted),
  };
}

function unorderedPairs(members: readonly Member[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (const [index, one] of members.entries()) {
    for (const other of members.slice(index + 1)) {
      const isKnown = one.at !== undefined && other.at !== undefined && one.at !== other.at;
      if (isKnown || !mayOverlap(one.inspection.coverage, other.inspection.coverage)) continue;
      pairs.push([one.name, other.name]);
    }
  }
  return pairs;
}
