/** `--dry-run` of what sends: the target is looked at where it is, and the plan is printed. */
import {
  type BaseCheck,
  type ChangeSource,
  type Destination,
  type Engine,
  type Rehearsal,
  rehearse,
} from '../index.js';
import { connectTo } from './connect.js';
import { deliveryOptions } from './delivery.js';
import type { Job } from './job.js';

export const NOTHING_CHANGED = 'Nothing was changed (--dry-run)';

export interface Plan {
  source: ChangeSource;
  engine: Engine;
  base: BaseCheck;
  /** The destination as it was named, and what it means. */
  destination: string;
  place: Destination;
}

/** @throws LvmsyncError what the real run would be refused with */
export async function planDelivery(job: Job, plan: Plan): Promise<void> {
  const { source, engine, base, destination, place } = plan;
  const { options } = job;
  const connection = connectTo(job, place, { engine, source });
  try {
    const rehearsal = await rehearse({
      ...deliveryOptions(job, place),
      source,
      engine,
      base,
      openVerifier: (onStderr) => connection.openVerifier(onStderr, true),
      protocol: options.protocol,
    });
    const line = connection.describeReceiver(rehearsal === undefined ? 3 : 4);
    const lines = [
      `target: ${destination}, ${describeTarget(rehearsal)}`,
      ...(line === undefined ? [] : [`runs there: ${line}`]),
      ...steps(job, plan, rehearsal),
    ];
    sayPlan(job, [describeAmount(source), ...lines.map((step) => `  ${step}`)], {
      ...{ destination, ...amountFields(source), remoteCommand: line },
      ...{ targetBytes: rehearsal?.target.sizeBytes, resumeOffset: rehearsal?.resumeOffset },
    });
  } finally {
    await connection.close();
  }
}

/** What would be done; @param fields the same for `--json` */
export function sayPlan({ reporter }: Job, lines: string[], fields: Record<string, unknown>): void {
  reporter.summary([...lines, NOTHING_CHANGED], { fields: { ...fields, dryRun: true } });
}

/** As `describeAmount`, for `--json`. */
export function amountFields({
  description,
  volumeBytes,
  extents,
}: Pick<ChangeSource, 'description' | 'volumeBytes' | 'extents'>) {
  return { source: description, volumeBytes, plannedBytes: extents.totalBytes };
}

/** How much a run reads at the most, and how much a full copy would. */
export function describeAmount({
  extents,
  volumeBytes,
  description,
}: Pick<ChangeSource, 'extents' | 'volumeBytes' | 'description'>): string {
  const { totalBytes, extentCount } = extents;
  const saved = volumeBytes - totalBytes;
  const less = saved > 0 ? `, ${saved} bytes less than all of it` : '';
  return `Would send at most ${totalBytes} bytes in ${extentCount} ${extentCount === 1 ? 'extent' : 'extents'} of ${description}${less}`;
}

function describeTarget(rehearsal: Rehearsal | undefined): string {
  if (rehearsal === undefined) {
    return 'which was not looked at: the receiver speaks PROTO[3] only, and would check nothing';
  }
  const { target, version } = rehearsal;
  const there = `lvmsync ${version} there`;
  if (target.toBeMade) return `to be made, of ${target.sizeBytes} bytes; ${there}`;
  const kind = target.kind === 'file' ? 'a file' : 'a block device';
  return `${kind} of ${target.sizeBytes} bytes, fit to be written; ${there}`;
}

function* steps({ options }: Job, plan: Plan, rehearsal: Rehearsal | undefined): Generator<string> {
  if (rehearsal !== undefined && plan.base !== 'none') {
    yield `base: the target holds what the changes were made to (${plan.base})`;
  }
  if (rehearsal?.resumeOffset !== undefined) {
    yield `goes on at byte ${rehearsal.resumeOffset}, where an interrupted run got to`;
  }
  if (options.snapback !== undefined) {
    yield `what is overwritten is saved in ${options.snapback}, on the target's side`;
  }
  if (options.transactional) {
    yield 'nothing is written to the target before all has come (--transactional)';
  }
}
