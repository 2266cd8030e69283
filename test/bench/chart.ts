/** The rates of a bench as a picture: one group of bars for each scenario. */
import { medianSeconds, type Results } from './results.js';

const WIDTH = 860;
const LABEL_WIDTH = 300;
const BAR_HEIGHT = 16;
const GAP = 6;
const TITLE_HEIGHT = 34;
/** Of less, starting up is what is measured. */
const LEAST_BYTES = 16 << 20;

/** Readable on light and dark pages: its text takes a grey that both bear. */
export function chartOf(results: Results): string {
  const parts: string[] = [];
  let y = 8;
  for (const { title, rows } of results.scenarios) {
    const shown = rows.filter(({ bytes, name }) => bytes >= LEAST_BYTES && !/alone/.test(name));
    if (shown.length === 0) continue;
    const rates = shown.map((row) => row.bytes / medianSeconds(row) / 1e6);
    const most = Math.max(...rates);
    parts.push(text(0, y + 20, title, 'font-weight="bold"'));
    y += TITLE_HEIGHT;
    for (const [index, { name }] of shown.entries()) {
      const rate = rates[index]!;
      const width = Math.max(1, ((WIDTH - LABEL_WIDTH - 90) * rate) / most);
      const color = name.startsWith('lvmsync') ? '#2f81c4' : '#9aa4ad';
      parts.push(
        text(LABEL_WIDTH - 8, y + 13, name, 'text-anchor="end"'),
        `<rect x="${LABEL_WIDTH}" y="${y}" width="${width.toFixed(1)}" height="${BAR_HEIGHT}" rx="2" fill="${color}"/>`,
        text(LABEL_WIDTH + width + 6, y + 13, `${rate.toFixed(0)} MB/s`),
      );
      y += BAR_HEIGHT + GAP;
    }
    y += GAP;
  }
  const size = `width="${WIDTH}" height="${y}" viewBox="0 0 ${WIDTH} ${y}"`;
  const font = 'font-family="system-ui, sans-serif" font-size="13" fill="#737d86"';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${font}>\n${parts.join('\n')}\n</svg>\n`;
}

function text(x: number, y: number, words: string, more = ''): string {
  const safe = words.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
  return `<text x="${x.toFixed(1)}" y="${y}" ${more}>${safe}</text>`;
}
