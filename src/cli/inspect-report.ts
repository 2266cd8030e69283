/** What `lvmsync inspect` says, as text and as JSON. */
import {
  counted,
  type Inspection,
  inBytes,
  inDate,
  type NamedInspection,
  type OrderGroup,
  printable,
} from '../index.js';

const KINDS: Record<Inspection['kind'], string> = {
  proto3: 'a PROTO[3] stream or snapback',
  stream: 'a PROTO[4] stream',
  'undo-log': 'a snapback (undo log)',
  spool: "a receiver's spool",
  unknown: 'no stream that can be read',
};

export function inspectionText({ name, inspection }: NamedInspection): string {
  const { fileBytes, wholeBytes, problem } = inspection;
  const lines = [`${printable(name)}: ${KINDS[inspection.kind]}, ${verdict(inspection)}`];
  if (problem !== undefined)
    lines.push(`  at byte ${problem.offset}: ${printable(problem.message)}`);
  lines.push(...headerLines(inspection));
  if (inspection.kind !== 'unknown') lines.push(`  ${contents(inspection)}`);
  const upTo = wholeBytes === fileBytes ? '' : `; nothing wrong before byte ${wholeBytes}`;
  lines.push(`  ${fileBytes} bytes long${upTo}`);
  return `${lines.join('\n')}\n`;
}

function verdict({ state, kind }: Inspection): string {
  switch (state) {
    case 'whole':
      return 'whole: every checksum and the digest of all are right';
    case 'unproven':
      return 'sound as far as can be seen: it has no checksums, and no end mark';
    case 'unended':
      return 'without its end: of a run that was cut, or cut itself; a rollback takes it as it is';
    case 'truncated':
      return kind === 'undo-log' ? 'CUT or damaged: inspect the file itself' : 'CUT';
    case 'damaged':
      return 'DAMAGED';
  }
}

function headerLines({ header, kind }: Inspection): string[] {
  if (header === undefined) return [];
  const { id, sizeBytes, version, log, announced } = header;
  const role = kind === 'stream' ? 'from' : 'for';
  const lines = [
    `  ${role} ${printable(id)}, ${sizeBytes} bytes (${inBytes(sizeBytes)}); written by lvmsync ${printable(version)}`,
  ];
  if (log?.begunAtMs !== undefined) lines.push(`  begun ${inDate(log.begunAtMs / 1000)}`);
  if (announced !== undefined) {
    const { dataBytes, extentCount } = announced;
    lines.push(`  announced: ${dataBytes} bytes in ${counted(extentCount, 'extent')}`);
  }
  return lines;
}

function contents(inspection: Inspection): string {
  const { records, dataBytes, extentCount, compressedRecords, undecodedRecords } = inspection;
  const parts = [counted(records.data, 'record')];
  if (compressedRecords > 0) parts.push(`${compressedRecords} of them compressed`);
  if (undecodedRecords > 0) parts.push('not decompressed, as this Node has no zstd');
  if (records.zero > 0) parts.push(`${records.zero} of zeroes`);
  if (records.discard > 0) parts.push(`${records.discard} of discards`);
  const amount = `${dataBytes} bytes (${inBytes(dataBytes)})`;
  return `${amount} in ${counted(extentCount, 'extent')}: ${parts.join(', ')}`;
}

const BASES: Record<OrderGroup['basis'], string> = {
  begun: 'by the beginning of their runs',
  snapshot: 'by the creation of their snapshots',
  file: 'by when the files were last written, which a copy may have changed',
};

const DOINGS: Record<OrderGroup['kind'], string> = {
  'undo-log': 'To roll back, newest first',
  stream: 'To apply, oldest first',
  proto3:
    'If they are for one volume, oldest first (streams are applied so; snapbacks are rolled back the other way round)',
};

export function orderText({ kind, id, order, basis, unordered }: OrderGroup): string {
  const whose = id === undefined ? '' : `, ${printable(id)}`;
  const lines = [`${DOINGS[kind]}, ${BASES[basis]}${whose}:`];
  for (const [index, name] of order.entries()) lines.push(`  ${index + 1}. ${printable(name)}`);
  for (const [one, other] of unordered) {
    lines.push(
      `  NOT KNOWN which is the earlier one: ${printable(one)} and ${printable(other)}, which may hold the same places`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** As docs/json.md has it. */
export function inspectJson(files: readonly NamedInspection[], order: OrderGroup[]): object {
  return {
    version: 1,
    type: 'inspect',
    files: files.map(({ name, inspection }) => {
      const { coverage, ...facts } = inspection;
      return { name, ...facts, highestEnd: coverage.end };
    }),
    order,
  };
}
