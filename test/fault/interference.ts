/** What may happen to the bytes of one direction on their way. */
import {
  RECORD_HEADER_BYTES,
  readRecordHeader,
  TABLE_ENTRY_BYTES,
} from '#lvmsync/stream/proto4.js';
import type { Link } from './link.js';

/** Bytes to pass on, or something to do once those before it have been passed on. */
export type Step = Buffer | ((link: Link) => void | Promise<void>);

/** Created anew for every run. */
export interface Passage {
  pass(bytes: Buffer): Step[];
  /** What is still to be passed on at the end. */
  end?(): Step[];
}

export const LABEL_BYTES = 17;

/** A record on its way, or the label, whose type is `label`. */
export interface WireRecord {
  type: number | 'label';
  /** How many of the same type came before it. */
  nth: number;
  /** How many of any type came before it. */
  index: number;
  bytes: Buffer;
  headerBytes: number;
  tableBytes: number;
}

/** Cuts the bytes of PROTO[4] into records and passes on what `edit` makes of each. */
export function editRecords(edit: (record: WireRecord) => Step[]): Passage {
  return splitting(proto4Record, edit);
}

/** The same for PROTO[3]. */
export function editProto3Records(edit: (record: WireRecord) => Step[]): Passage {
  return splitting(proto3Record, edit);
}

/** The records of a whole stream. */
export function splitStream(stream: Buffer, protocol: 3 | 4): WireRecord[] {
  const records: WireRecord[] = [];
  const split = protocol === 4 ? editRecords : editProto3Records;
  const passage = split((record) => {
    records.push(record);
    return [];
  });
  passage.pass(stream);
  if (passage.end?.().length) throw new Error('the stream does not end with a whole record');
  return records;
}

/** What a passage makes of a whole stream; things to do are left out, but end it. */
export function mangleStream(stream: Buffer, passage: Passage): Buffer {
  const bytes: Buffer[] = [];
  for (const step of [...passage.pass(stream), ...(passage.end?.() ?? [])]) {
    if (typeof step === 'function') break;
    bytes.push(step);
  }
  return Buffer.concat(bytes);
}

/** Does something once so many bytes have been passed on. */
export function afterBytes(position: number, act: (link: Link) => void | Promise<void>): Passage {
  let left = position;
  let done = false;
  return {
    pass(bytes) {
      if (done) return [bytes];
      if (bytes.length < left) {
        left -= bytes.length;
        return [bytes];
      }
      done = true;
      return [bytes.subarray(0, left), act, bytes.subarray(left)];
    },
  };
}

/** Turns one bit over. */
export function flipBit(position: number, bit: number): Passage {
  let passed = 0;
  return {
    pass(bytes) {
      const at = position - passed;
      passed += bytes.length;
      if (at < 0 || at >= bytes.length) return [bytes];
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << bit;
      return [flipped];
    },
  };
}

type Measure = (
  bytes: Buffer,
) => Pick<WireRecord, 'headerBytes' | 'tableBytes'> & { type: number; recordBytes: number };

function splitting(measure: Measure, edit: (record: WireRecord) => Step[]): Passage {
  let pending: Buffer = Buffer.alloc(0);
  const counts = new Map<number | 'label', number>();
  let index = 0;

  function record(type: number | 'label', length: number, headerBytes: number, tableBytes: number) {
    const bytes = pending.subarray(0, length);
    pending = pending.subarray(length);
    const nth = counts.get(type) ?? 0;
    counts.set(type, nth + 1);
    return edit({ type, nth, index: index++, bytes, headerBytes, tableBytes });
  }

  return {
    pass(bytes) {
      pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
      const steps: Step[] = [];
      if (index === 0) {
        if (pending.length < LABEL_BYTES) return steps;
        steps.push(...record('label', LABEL_BYTES, 0, 0));
      }
      while (pending.length >= 12) {
        if (measure === proto4Record && pending.length < RECORD_HEADER_BYTES) break;
        const { type, recordBytes, headerBytes, tableBytes } = measure(pending);
        if (pending.length < recordBytes) break;
        steps.push(...record(type, recordBytes, headerBytes, tableBytes));
      }
      return steps;
    },
    end: () => (pending.length > 0 ? [pending] : []),
  };
}

const proto4Record: Measure = (bytes) => {
  const header = readRecordHeader(bytes, 0);
  const tableBytes = header.extentCount * TABLE_ENTRY_BYTES;
  return {
    type: header.type,
    headerBytes: RECORD_HEADER_BYTES,
    tableBytes,
    recordBytes: RECORD_HEADER_BYTES + tableBytes + header.payloadBytes,
  };
};

const proto3Record: Measure = (bytes) => ({
  type: 0,
  headerBytes: 12,
  tableBytes: 0,
  recordBytes: 12 + bytes.readUInt32BE(8),
});
