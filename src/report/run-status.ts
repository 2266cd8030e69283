/** What is asked of a run in flight and what it answers: a line of JSON each. */
import type { Bandwidth } from '../transport/bandwidth.js';
import { JSON_VERSION } from './json-lines.js';
import type { Progress } from './progress.js';

/** What does not change while a run is in flight. */
export interface RunIdentity {
  pid: number;
  command: string;
  /** For people: as the command line names them. */
  source: string;
  destination: string;
  /** Seconds since 1970. */
  startedAt: number;
}

export interface RunStatus extends RunIdentity {
  /** Bytes a second; 0: no limit. */
  bandwidthLimit: number;
  progress: Progress;
}

export const MAX_REQUEST_BYTES = 4096;
export const MAX_STATUS_BYTES = 65_536;

/** @param bandwidthLimit changes the limit; undefined only asks */
export function formatRequest(bandwidthLimit?: number): string {
  return `${JSON.stringify({ version: JSON_VERSION, bandwidthLimit })}\n`;
}

/** Does what a request asks for. @returns false for what is no request */
export function obey(request: string, bandwidth: Bandwidth): boolean {
  const fields = parse(request);
  if (fields?.version !== JSON_VERSION) return false;
  const { bandwidthLimit } = fields;
  if (bandwidthLimit === undefined) return true;
  if (!Number.isSafeInteger(bandwidthLimit) || Number(bandwidthLimit) < 0) return false;
  bandwidth.limit(Number(bandwidthLimit));
  return true;
}

export function formatStatus(status: RunStatus): string {
  return `${JSON.stringify({ version: JSON_VERSION, ...status })}\n`;
}

/** Undefined for what is no status, or that of another version of lvmsync. */
export function parseStatus(text: string): RunStatus | undefined {
  const { version, ...fields } = parse(text) ?? {};
  if (version !== JSON_VERSION || typeof fields.pid !== 'number') return undefined;
  // From a run of this user's, and of this version: nobody else can write to the directory.
  return fields as unknown as RunStatus;
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}
