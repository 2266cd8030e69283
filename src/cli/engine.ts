import { InvalidArgumentError } from 'commander';
import {
  BUFFER_MEMORY,
  type Engine,
  type EngineOptions,
  type LimitRange,
  loadEngine,
  QUEUE_DEPTH,
} from '../index.js';
import type { Job } from './job.js';
import type { CliOptions } from './options.js';

const UNITS: Readonly<Record<string, number>> = { '': 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30 };

/** The engine that the command line asks for; which it is, and with what it works, is said. */
export function openEngine({ options, reporter }: Job): Engine {
  const { engine, note } = loadEngine(options.engine, engineLimits(options));
  const { name, backend } = engine;
  const details = [backend, note].filter((detail) => detail !== undefined).join('; ');
  reporter.note(`engine: ${name}${details && ` (${details})`}`);
  return engine;
}

/** @throws InvalidArgumentError */
export function parseQueueDepth(text: string): number {
  const requests = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return within(requests, QUEUE_DEPTH, `It is a number of requests, ${rangeOf(QUEUE_DEPTH)}.`);
}

/** Bytes, or K, M or G of them. @throws InvalidArgumentError */
export function parseBufferMemory(text: string): number {
  const [, digits, unit = ''] = /^(\d{1,12})([KMG]?)$/i.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS[unit.toUpperCase()] ?? Number.NaN);
  return within(bytes, BUFFER_MEMORY, `It is a size, such as 16M, ${rangeOf(BUFFER_MEMORY, 'M')}.`);
}

/** What the command line asks of the engine; what it leaves out is the engine's default. */
export function engineLimits({
  queueDepth,
  bufferMemory,
}: Pick<CliOptions, 'queueDepth' | 'bufferMemory'>): EngineOptions {
  return {
    ...(queueDepth !== undefined && { queueDepth }),
    ...(bufferMemory !== undefined && { bufferMemoryBytes: bufferMemory }),
  };
}

function within(value: number, { min, max }: LimitRange, explanation: string): number {
  if (value >= min && value <= max) return value;
  throw new InvalidArgumentError(explanation);
}

/** From what to what, in words: in the unit, where there is one. */
export function rangeOf({ min, max }: LimitRange, unit = ''): string {
  const units = (value: number) => `${value / (UNITS[unit] ?? 1)}${unit}`;
  return `${units(min)} to ${units(max)}`;
}
