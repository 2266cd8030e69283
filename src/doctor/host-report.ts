/** What one machine says of itself: a line of JSON, which comes from another host and is not trusted. */
import { LvmsyncError } from '../errors.js';
import type { Finding } from './finding.js';

export interface HostReport {
  /** Of lvmsync there. */
  version: string;
  findings: Finding[];
  rates: Rates;
}

/** Bytes per second, as far as they could be measured. */
export interface Rates {
  /** AES-128-GCM on one core. */
  cipher?: number;
  /** Reading the device that was named. */
  read?: number;
}

export const MAX_REPORT_BYTES = 64 * 1024;
const MAX_FINDINGS = 64;
const MAX_TEXT = 400;
const STATUSES: readonly unknown[] = ['ok', 'warning', 'failure'] satisfies Finding['status'][];

type Fields = Record<string, unknown>;

/** @throws LvmsyncError REMOTE_FAILED when it is not such a report */
export function parseHostReport(line: string): HostReport {
  const fields = parseFields(line);
  const { findings, rates } = fields;
  if (!Array.isArray(findings) || findings.length > MAX_FINDINGS) throw malformed('findings');
  return {
    version: words(fields, 'version'),
    findings: findings.map(parseFinding),
    rates: isFields(rates) ? { ...rate(rates, 'cipher'), ...rate(rates, 'read') } : {},
  };
}

function parseFields(line: string): Fields {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw malformed('JSON');
  }
  if (!isFields(value)) throw malformed('JSON object');
  return value;
}

function parseFinding(value: unknown): Finding {
  if (!isFields(value)) throw malformed('finding');
  const { status, mend } = value;
  if (!isStatus(status)) throw malformed('status');
  return {
    name: words(value, 'name'),
    status,
    text: words(value, 'text'),
    ...(mend !== undefined && { mend: words(value, 'mend') }),
  };
}

function isStatus(value: unknown): value is Finding['status'] {
  return STATUSES.includes(value);
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** One line, without anything that could move the cursor of a terminal. */
function words(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw malformed(name);
  return value.slice(0, MAX_TEXT).replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}

function rate(fields: Fields, name: keyof Rates): Rates {
  const value = fields[name];
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? { [name]: value } : {};
}

function malformed(what: string): LvmsyncError {
  return new LvmsyncError('REMOTE_FAILED', `the other end's report has no proper ${what}`, {
    hint: 'install this version of lvmsync there',
  });
}
