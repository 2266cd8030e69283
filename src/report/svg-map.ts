/** A heat map as a picture: SVG 1.1, nothing but rectangles and text. */
import type { Coverage } from '../extents/coverage.js';
import { LEVELS, layOutMap, levelOf } from './heat-map.js';
import { inBytes } from './quantities.js';

export interface MapWords {
  title: string;
  subtitle: string;
}

const COLUMNS = 192;
const MAX_ROWS = 64;
const CELL_WIDTH = 5;
const LEFT = 90;
const TOP = 64;
const WIDTH = LEFT + COLUMNS * CELL_WIDTH + 24;
const MAP_HEIGHT = 384;
const LEGEND_HEIGHT = 56;
/** From nothing to everything, each darker than the one before: readable without colours too. */
const FILLS = ['#eef0f3', '#fdd49e', '#fc8d59', '#d7301f', '#7f0000'];
const MAX_LABELS = 16;

export function svgMap(coverage: Coverage, volumeBytes: number, words: MapWords): string {
  const map = layOutMap(coverage, volumeBytes, { columns: COLUMNS, maxRows: MAX_ROWS });
  const rowHeight = map.rows.length === 0 ? 0 : Math.min(24, MAP_HEIGHT / map.rows.length);
  const mapHeight = rowHeight * map.rows.length;
  const labelEvery = Math.ceil(map.rows.length / MAX_LABELS);
  const parts = [
    text(LEFT, 28, words.title, 18, 'start'),
    text(LEFT, 48, words.subtitle, 13, 'start'),
  ];
  for (const [index, row] of map.rows.entries()) {
    const y = TOP + index * rowHeight;
    if (index % labelEvery === 0) {
      const middle = y + rowHeight / 2 + 4;
      parts.push(text(LEFT - 8, middle, inBytes(index * map.rowBytes), 11, 'end'));
    }
    parts.push(...drawRow(row, y, rowHeight));
  }
  parts.push(...drawLegend(TOP + mapHeight + 24, map.cellBytes));
  const height = TOP + mapHeight + LEGEND_HEIGHT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${num(height)}" viewBox="0 0 ${WIDTH} ${num(height)}" font-family="sans-serif" shape-rendering="crispEdges">`,
    `<rect width="100%" height="100%" fill="#ffffff"/>`,
    ...parts,
    '</svg>',
    '',
  ].join('\n');
}

/** One rectangle for each run of cells of one level. */
function drawRow(row: Float64Array, y: number, height: number): string[] {
  const rectangles: string[] = [];
  for (let start = 0; start < row.length; ) {
    const level = levelOf(row[start]!);
    let end = start + 1;
    while (end < row.length && levelOf(row[end]!) === level) end++;
    const width = (end - start) * CELL_WIDTH;
    rectangles.push(rectangle(LEFT + start * CELL_WIDTH, y, width, height, level));
    start = end;
  }
  return rectangles;
}

function drawLegend(y: number, cellBytes: number): string[] {
  const parts: string[] = [];
  const heading = `Changed of each ${inBytes(Math.round(cellBytes))}:`;
  let x = LEFT + heading.length * 7;
  parts.push(text(LEFT, y, heading, 12, 'start'));
  for (const [level, { words }] of LEVELS.entries()) {
    parts.push(rectangle(x, y - 11, 14, 14, level), text(x + 20, y, words, 12, 'start'));
    x += 44 + words.length * 7;
  }
  return parts;
}

function rectangle(x: number, y: number, width: number, height: number, level: number): string {
  return `<rect x="${num(x)}" y="${num(y)}" width="${num(width)}" height="${num(height)}" fill="${FILLS[level]}"/>`;
}

function text(x: number, y: number, words: string, size: number, anchor: 'start' | 'end'): string {
  return `<text x="${num(x)}" y="${num(y)}" font-size="${size}" text-anchor="${anchor}" fill="#222222">${escapeXml(words)}</text>`;
}

function num(value: number): string {
  return String(Number(value.toFixed(2)));
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Names of files may hold anything; XML allows no control characters at all. */
function escapeXml(words: string): string {
  return words
    .replaceAll(/\p{Cc}|\p{Cs}/gu, '\u{FFFD}')
    .replaceAll(/[&<>"]/g, (character) => ENTITIES[character] ?? character);
}
