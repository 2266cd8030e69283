/**
 * picture - runs the demonstration and draws what it printed, at the pace at which it came:
 *   node scripts/picture.js [FILE]        default docs/demo.svg
 *
 * Where nothing happens for longer than a moment, the picture does not wait.
 */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const LONGEST_PAUSE_SECONDS = 1.5;
const LAST_PAUSE_SECONDS = 6;
const TYPING_SECONDS = 1;
const LINE_HEIGHT = 19;
const CHARACTER_WIDTH = 7.83; // of 13 px monospace
const MARGIN = 16;

const demo = fileURLToPath(new URL('demo', import.meta.url));
const output = process.argv[2] ?? fileURLToPath(new URL('../docs/demo.svg', import.meta.url));

/** Lines with the seconds after which each is to be shown. */
async function record() {
  const child = spawn(demo, [], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = [{ at: 0, text: '$ npm run demo' }];
  let at = TYPING_SECONDS;
  let last = performance.now();
  for await (const text of createInterface({ input: child.stdout })) {
    const now = performance.now();
    at += Math.min((now - last) / 1000, LONGEST_PAUSE_SECONDS);
    last = now;
    lines.push({ at, text });
  }
  const status = child.exitCode ?? (await new Promise((resolve) => child.once('exit', resolve)));
  if (status !== 0) throw new Error(`the demonstration ended with status ${status}`);
  return lines;
}

const escaped = (text) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

function draw(lines) {
  const seconds = lines.at(-1).at + LAST_PAUSE_SECONDS;
  const width = Math.ceil(
    2 * MARGIN + CHARACTER_WIDTH * Math.max(...lines.map(({ text }) => text.length)),
  );
  const height = 2 * MARGIN + LINE_HEIGHT * lines.length;
  // All lines share one clock, so that the picture begins anew as a whole.
  const rules = lines.map(({ at }, index) => {
    const percent = ((100 * at) / seconds).toFixed(2);
    return `@keyframes l${index}{0%,${percent}%{opacity:0}${(Number(percent) + 0.01).toFixed(2)}%,100%{opacity:1}}`;
  });
  const texts = lines.map(({ text }, index) => {
    const y = MARGIN + LINE_HEIGHT * (index + 0.75);
    const kind = /^\s*\$ /.test(text) ? ' class="typed"' : '';
    return `<text x="${MARGIN}" y="${y}"${kind} style="animation-name:l${index}" xml:space="preserve">${escaped(text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img" aria-label="npm run demo">
<style>
text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;fill:#d6deeb;animation:${seconds.toFixed(1)}s step-end infinite}
.typed{fill:#7fdbca;font-weight:bold}
@media (prefers-reduced-motion:reduce){text{animation:none}}
${rules.join('\n')}
</style>
<rect width="100%" height="100%" rx="8" fill="#0b1622"/>
${texts.join('\n')}
</svg>
`;
}

writeFileSync(output, draw(await record()));
