/** A heat map in characters. */
import type { Coverage } from '../extents/coverage.js';
import { LEVELS, layOutMap, levelOf, rowBytesOf } from './heat-map.js';
import { inBytes } from './quantities.js';

export interface TerminalLook {
  /** Columns there are. */
  width: number;
  /** Whether escape codes for colours may be used. */
  color: boolean;
  /** Whether block characters may be used; else the map is plain ASCII. */
  unicode: boolean;
}

const MAX_ROWS = 16;
const MIN_COLUMNS = 16;
const MARKS = { unicode: ['·', '░', '▒', '▓', '█'], ascii: ['.', '-', '+', '*', '#'] };
const EDGES = { unicode: '│', ascii: '|' };
/** Dim, blue, cyan, yellow, red: of the sixteen that every terminal has. */
const COLORS = ['2', '34', '36', '33', '31'];

/** Lines without line ends; none is longer than the width, unless that is absurdly small. */
export function drawMap(coverage: Coverage, volumeBytes: number, look: TerminalLook): string[] {
  const rowBytes = rowBytesOf(volumeBytes, MAX_ROWS);
  const rowCount = Math.ceil(volumeBytes / rowBytes);
  const labels = Array.from({ length: rowCount }, (_, row) => inBytes(row * rowBytes));
  const labelWidth = Math.max(0, ...labels.map(({ length }) => length));
  const edge = look.unicode ? EDGES.unicode : EDGES.ascii;
  const columns = Math.max(MIN_COLUMNS, look.width - labelWidth - 3);
  const map = layOutMap(coverage, volumeBytes, { columns, maxRows: MAX_ROWS });
  const lines = map.rows.map((row, index) => {
    const label = labels[index]!.padStart(labelWidth);
    return `${label} ${edge}${paint(Array.from(row, levelOf), look)}${edge}`;
  });
  return [...lines, ...drawLegend(map.cellBytes, look)];
}

/** As few lines as the width allows. */
function drawLegend(cellBytes: number, look: TerminalLook): string[] {
  const heading = `Changed of each ${inBytes(Math.round(cellBytes))}:`;
  const lines: string[] = [];
  let line = heading;
  let length = heading.length;
  for (const [level, { words }] of LEVELS.entries()) {
    const text = `${paint([level], look)} ${words}`;
    const plainLength = words.length + 2;
    if (length + 2 + plainLength > look.width) {
      lines.push(line);
      line = text;
      length = plainLength;
    } else {
      line += `  ${text}`;
      length += 2 + plainLength;
    }
  }
  return [...lines, line];
}

function paint(levels: readonly number[], { color, unicode }: TerminalLook): string {
  const marks = unicode ? MARKS.unicode : MARKS.ascii;
  let text = '';
  for (let start = 0; start < levels.length; ) {
    const level = levels[start]!;
    let end = start + 1;
    while (levels[end] === level) end++;
    const run = marks[level]!.repeat(end - start);
    text += color ? `\u001b[${COLORS[level]}m${run}\u001b[0m` : run;
    start = end;
  }
  return text;
}
