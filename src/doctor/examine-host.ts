/** Looks over the machine that this runs on. */
import { release } from 'node:os';
import type { Engine } from '../block/engine.js';
import type { LoadedEngine } from '../block/engines.js';
import { hasNativeCiphers } from '../transport/ssh2/library.js';
import { type Finding, failure, ok, warning } from './finding.js';
import type { HostReport } from './host-report.js';
import { lookAtSource, lookAtTarget } from './look-at-device.js';
import { lookAtEngine } from './look-at-engine.js';
import { lookAtTools, type Role } from './look-at-tools.js';
import { inRate, measureCipher } from './speed.js';

export interface ExamineOptions {
  role: Role;
  /** Of lvmsync. */
  version: string;
  loaded: LoadedEngine;
  /** What is to be written or read here, if anything was named. */
  target?: string | undefined;
  source?: string | undefined;
}

/** Nothing is written, and what is read takes a second at the most. */
export async function examineHost(options: ExamineOptions): Promise<HostReport> {
  const { role, version, loaded, target, source } = options;
  const { engine } = loaded;
  const cipher = measureCipher();
  const findings: Finding[] = [
    ok('lvmsync', `${version}, Node ${process.versions.node}, Linux ${release()}`),
    lookAtPrivileges(role),
    ...(await lookAtTools(role)),
    await lookAtEngine(loaded),
    ...(role === 'sender' ? [await lookAtSsh(engine)] : []),
    ok('cipher', `AES-128-GCM at ${inRate(cipher)} on one core`),
  ];
  const looks = [
    ...(source === undefined ? [] : [await lookAtSource(source, engine)]),
    ...(target === undefined ? [] : [await lookAtTarget(target, engine)]),
  ];
  const rates = looks.flatMap(({ readRate }) => readRate ?? []);
  return {
    version,
    findings: [...findings, ...looks.flatMap((look) => look.findings)],
    rates: { cipher, ...(rates.length > 0 && { read: Math.min(...rates) }) },
  };
}

function lookAtPrivileges(role: Role): Finding {
  const user = process.geteuid?.();
  if (user === 0) return ok('privileges', 'root');
  const text = `user ${user}, not root: may not read LVM's volumes`;
  if (role === 'sender') return failure('privileges', text, 'sudo lvmsync doctor');
  return warning('privileges', text, "lvmsync ... --remote-command 'sudo lvmsync'");
}

async function lookAtSsh({ createSshSealer }: Engine): Promise<Finding> {
  if (createSshSealer !== undefined) return ok('ssh', 'built in (ssh2), encrypts natively');
  if (await hasNativeCiphers()) return ok('ssh', 'built in (ssh2), with its native ciphers');
  const text = 'built in (ssh2), without its native ciphers: twice the CPU';
  return warning('ssh', text, 'npm rebuild ssh2');
}
