/** A device that was named: whether a run would take it, and how fast it is read. */
import type { Engine } from '../block/engine.js';
import { assertTargetUsable, inspectTarget } from '../block/target.js';
import { LvmsyncError } from '../errors.js';
import { openNamedSource } from '../send/named-source.js';
import { type Finding, failure, ok, warning } from './finding.js';
import { inRate, measureRead } from './speed.js';

export interface DeviceLook {
  findings: Finding[];
  /** Bytes per second. */
  readRate?: number | undefined;
}

/** As what is to be written: refused for what a run would refuse it for. */
export async function lookAtTarget(path: string, engine: Engine): Promise<DeviceLook> {
  return orFailure('target', async () => {
    const { kind, sizeBytes, ...target } = await inspectTarget(path);
    assertTargetUsable({ kind, sizeBytes, ...target }, { force: false });
    const file = await engine.open(path, { mode: 'read' });
    try {
      const what = kind === 'file' ? 'a file' : 'a block device';
      const found = ok('target', `${path} is ${what} of ${sizeBytes} bytes, not in use`);
      const readRate = await measureRead(file, engine);
      return { findings: [found, ...rateFinding('target', readRate)], readRate };
    } finally {
      await file.close();
    }
  });
}

/** As what is to be read. */
export async function lookAtSource(name: string, engine: Engine): Promise<DeviceLook> {
  return orFailure('source', async () => {
    const { source, mountPoint } = await openNamedSource(name, engine);
    try {
      const { data } = source;
      const found =
        mountPoint === undefined
          ? ok('source', `${name} has ${data.sizeBytes} bytes`)
          : warning('source', `${name} is mounted on ${mountPoint}: send a snapshot of it`);
      const readRate = await measureRead(data, engine);
      return { findings: [found, ...rateFinding('source', readRate)], readRate };
    } finally {
      await source.close();
    }
  });
}

function rateFinding(what: string, readRate: number | undefined): Finding[] {
  if (readRate === undefined) return [];
  return [ok(`${what} speed`, `is read at ${inRate(readRate)}, from its start`)];
}

async function orFailure(name: string, look: () => Promise<DeviceLook>): Promise<DeviceLook> {
  try {
    return await look();
  } catch (error) {
    if (!(error instanceof LvmsyncError)) throw error;
    return { findings: [failure(name, error.message, error.hint)] };
  }
}
