/** What a transfer has come to: what was sent, what was not, and what the receiver says of it. */
import type { SendReport } from '../send/send.js';
import type { RunResult } from './result-json.js';

export interface TransferFigures {
  source: string;
  destination: string | undefined;
  volumeBytes: number;
  report: SendReport;
  /** Written to all connections together, those that broke too. */
  streamBytes: number;
}

export function transferLines({ report, streamBytes, destination }: TransferFigures): string[] {
  const { zeroBytes, unchangedBytes, resumedBytes } = report;
  const saved = [
    [zeroBytes, 'of zeroes'],
    [unchangedBytes, 'unchanged'],
    [resumedBytes, 'there from before'],
  ] as const;
  const words = saved.filter(([bytes]) => bytes > 0).map(([bytes, what]) => `${bytes} ${what}`);
  const notSent = words.length === 0 ? '' : `; not sent: ${words.join(', ')}`;
  const lines = [`Sent ${streamBytes} bytes of stream${notSent}`];
  if (destination !== undefined) lines.push(acknowledgement(report));
  return lines;
}

function acknowledgement({ receipt }: SendReport): string {
  return receipt === undefined
    ? 'Not acknowledged: a receiver that speaks PROTO[3] does not say what it has written, or whether it is flushed'
    : `Acknowledged: the target is flushed, and the receiver counts the same ${receipt.records} records of ${receipt.dataBytes} bytes`;
}

/** The fields of a transfer in JSON. */
export function transferResult(figures: TransferFigures): RunResult {
  const { source, destination, volumeBytes, report, streamBytes } = figures;
  const { dataBytes, zeroBytes, unchangedBytes, resumedBytes, recordCount, receipt } = report;
  return {
    fields: {
      ...{ source, destination, volumeBytes, dataBytes, zeroBytes, unchangedBytes, resumedBytes },
      ...{ streamBytes, records: recordCount },
      speedup: streamBytes === 0 ? undefined : volumeBytes / streamBytes,
      protocol: receipt === undefined ? 3 : 4,
      flushed: receipt?.flushed ?? false,
      acknowledged: receipt !== undefined,
    },
  };
}
