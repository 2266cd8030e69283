/** What `lvmsync status` says of what there is on this machine, as text and as JSON. */
import {
  counted,
  inBytes,
  inPercent,
  inTime,
  type KeptHistory,
  type KeptSpool,
  type KeptTransfer,
  type MigrationOverview,
  type Overview,
  type OwnSnapshot,
  printable,
  type ReplicaOverview,
} from '../index.js';

/** @param now seconds since 1970. @returns the text; empty when there is nothing at all */
export function overviewText(overview: Overview, now: number): string {
  const { snapshots, snapshotsUnknown, migrations, replicas, kept } = overview;
  const sections = [
    section('Migrations', migrations.map(migrationLine(now))),
    section('Replicas', replicas.flatMap(replicaLines(now))),
    section('Snapshots that lvmsync has made', snapshots.map(snapshotLine(now))),
    section('Transfers to this machine that have not ended', kept.transfers.map(transferLine(now))),
    section('Deltas of transactional runs', kept.spools.map(spoolLine(now))),
    section('Targets that are replicated to', kept.histories.map(historyLine(now))),
    section(
      'Files that cannot be read',
      kept.unreadable.map(({ path, reason }) => `${printable(path)}: ${printable(reason)}`),
    ),
    section(
      'Snapshots are not known',
      snapshotsUnknown === undefined ? [] : [printable(snapshotsUnknown)],
    ),
  ];
  return sections.filter((text) => text !== '').join('\n');
}

function section(title: string, lines: string[]): string {
  if (lines.length === 0) return '';
  return `${title}:\n${lines.map((line) => `  ${line}\n`).join('')}`;
}

const ago = (seconds: number, now: number) => `${inTime(Math.max(0, now - seconds))} ago`;

const migrationLine =
  (now: number) =>
  ({ state, running }: MigrationOverview): string => {
    const { origin, destination, begunAt, copied, rounds, delivered } = state;
    const stage =
      delivered !== undefined
        ? 'the target holds the last state'
        : copied
          ? `copied, ${counted(rounds, 'round')} since`
          : 'the first copy is not done';
    const next = running ? 'running' : 'NOT RUNNING: run the same command again, or --abort';
    return `${origin.name} to ${printable(destination)}: begun ${ago(begunAt, now)}; ${stage}; ${next}`;
  };

const replicaLines =
  (now: number) =>
  ({ state: { members, next }, running }: ReplicaOverview): string[] =>
    members.map(({ origin, destination, held }) => {
      const age =
        held === undefined
          ? 'what it holds is not known'
          : `holds the state of ${held.at}, ${ago(Date.parse(held.at) / 1000, now)}`;
      const parts = [age];
      if (members.length > 1) parts.push(`one of ${members.length} that switch together`);
      if (running) parts.push('running');
      else if (next !== undefined) parts.push('NOT COMPLETE: run the same command again');
      return `${origin.name} to ${printable(destination)}: ${parts.join('; ')}`;
    });

const snapshotLine =
  (now: number) =>
  ({ name, origin, tag, takenAt, kind, fill, lost, inUse }: OwnSnapshot): string => {
    const parts = [`${kind} snapshot of ${origin ?? 'a volume that is gone'}`];
    if (takenAt !== undefined) parts.push(`taken ${ago(takenAt, now)}`);
    if (fill !== undefined) parts.push(`${inPercent(fill.usedBytes / fill.totalBytes)} full`);
    if (lost) parts.push('OVERFLOWED, of no use any more');
    parts.push(inUse ? tag : `${tag}, which is not on record here`);
    return `${name}: ${parts.join(', ')}`;
  };

const transferLine =
  (now: number) =>
  ({ target, durableOffset, savedAtMs, running }: KeptTransfer): string => {
    const place = target === undefined ? 'a target that is not named' : printable(target.path);
    const size = target === undefined ? '' : ` of ${inBytes(target.sizeBytes)}`;
    const next = running
      ? 'written to now'
      : 'goes on from there when the sender is started again as it was';
    return `${place}: durable up to ${inBytes(durableOffset)}${size}, ${ago(savedAtMs / 1000, now)}; ${next}`;
  };

const spoolLine =
  (now: number) =>
  ({ targetId, bytes, savedAtMs, complete, running }: KeptSpool): string => {
    const next = complete
      ? 'complete: the next run that writes to the target applies it first'
      : 'incomplete: the next run that writes to the target drops it';
    const state = running ? 'written to now' : next;
    return `${printable(targetId)}: ${inBytes(bytes)}, ${ago(savedAtMs / 1000, now)}; ${state}`;
  };

const historyLine =
  (now: number) =>
  ({ path, targetId, holds, olderStates }: KeptHistory): string => {
    const age =
      holds === undefined
        ? 'between two states: a run was cut'
        : `holds the state of ${holds}, ${ago(Date.parse(holds) / 1000, now)}`;
    const back = `${counted(olderStates, 'older state')} kept`;
    return `${printable(targetId ?? path)}: ${age}; ${back}`;
  };

/** As docs/json.md has it. */
export function overviewJson({
  stateDirectory,
  snapshots,
  snapshotsUnknown,
  migrations,
  replicas,
  kept,
}: Overview): object {
  return {
    stateDirectory,
    snapshots,
    snapshotsUnknown,
    migrations: migrations.map(({ state, running }) => ({
      id: state.id,
      origin: state.origin.name,
      destination: state.destination,
      begunAt: state.begunAt,
      copied: state.copied,
      rounds: state.rounds,
      delivered: state.delivered !== undefined,
      running,
    })),
    replicas: replicas.map(({ state, running }) => ({
      id: state.id,
      members: state.members.map(({ origin, destination, held }) => ({
        origin: origin.name,
        destination,
        heldAt: held?.at,
      })),
      complete: state.next === undefined,
      running,
    })),
    ...kept,
  };
}
