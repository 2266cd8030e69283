import { InvalidArgumentError } from 'commander';

const TIME =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,3})\d*)?)?(Z|[+-]\d\d:?\d\d)?)?$/;

/**
 * A time in ISO 8601: `2026-01-31T12:00:00Z`, or with an offset; without either, local time; a date
 * alone is its beginning.
 *
 * @returns in UTC, `2026-01-31T12:00:00.000Z`
 * @throws InvalidArgumentError
 */
export function parseLocalTime(text: string): string {
  const found = TIME.exec(text);
  if (found === null) throw invalid();
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found
    .slice(1, 7)
    .map((digits) => Number(digits ?? 0));
  const milliseconds = Number((found[7] ?? '').padEnd(3, '0'));
  const parts = [year, month - 1, day, hour, minute, second, milliseconds] as const;
  const asUtc = new Date(Date.UTC(...parts));
  const isReal = asUtc.getUTCMonth() === month - 1 && asUtc.getUTCDate() === day;
  if (!isReal || year < 1000 || hour > 23 || minute > 59 || second > 59) throw invalid();
  const zone = found[8];
  if (zone === undefined) return new Date(...parts).toISOString();
  return new Date(asUtc.getTime() - offsetMinutes(zone) * 60_000).toISOString();
}

function offsetMinutes(zone: string): number {
  if (zone === 'Z') return 0;
  const hours = Number(zone.slice(1, 3));
  const minutes = Number(zone.slice(-2));
  if (hours > 23 || minutes > 59) throw invalid();
  return (zone.startsWith('-') ? -1 : 1) * (hours * 60 + minutes);
}

function invalid(): InvalidArgumentError {
  return new InvalidArgumentError('It is a time like 2026-01-31T12:00:00Z, or 2026-01-31.');
}
