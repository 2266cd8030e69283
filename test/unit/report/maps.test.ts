import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { createCoverage } from '#lvmsync/extents/coverage.js';
import { svgMap } from '#lvmsync/report/svg-map.js';
import { drawMap } from '#lvmsync/report/terminal-map.js';

const MIB = 2 ** 20;
const ESCAPE = '\u001b';

/** The second row all over, and a little of the fourth. */
function striped() {
  const coverage = createCoverage();
  coverage.add(4 * MIB, 4 * MIB);
  coverage.add(12 * MIB, 4096);
  return coverage;
}

for (const width of [80, 120, 200]) {
  for (const unicode of [true, false]) {
    test(`when a map is drawn ${width} columns wide ${unicode ? 'with blocks' : 'in ASCII'}, then every row fills the width and no line is longer`, () => {
      const lines = drawMap(striped(), 64 * MIB, { width, color: false, unicode });
      const rows = lines.slice(0, 16);
      const edge = unicode ? '│' : '|';
      assert.deepEqual(new Set(rows.map(({ length }) => length)), new Set([width]));
      assert.ok(lines.every((line) => line.length <= width));
      const inner = width - 11;
      const [none, all] = unicode ? ['·', '█'] : ['.', '#'];
      assert.equal(rows[0], ` 0 bytes ${edge}${none!.repeat(inner)}${edge}`);
      assert.equal(rows[1], ` 4.0 MiB ${edge}${all!.repeat(inner)}${edge}`);
      assert.match(rows[3]!, new RegExp(`^12.0 MiB .[^${none}][${none}]+.$`, 'u'));
      const legend = lines.slice(16).join(' ');
      for (const words of ['none', 'up to 1%', 'up to 10%', 'up to 50%', 'more']) {
        assert.ok(legend.includes(words), legend);
      }
      if (!unicode) assert.match(lines.join('\n'), /^[\x20-\x7e\n]*$/);
    });
  }
}

test('when the terminal is narrow, then the legend goes on in the next line', () => {
  const lines = drawMap(striped(), 64 * MIB, { width: 40, color: false, unicode: true });
  assert.ok(lines.length > 18);
  assert.ok(lines.every((line) => line.length <= 40));
});

test('when colours are wanted, then they end where they begin, and without they are not there', () => {
  const look = { width: 80, unicode: true };
  const colored = drawMap(striped(), 64 * MIB, { ...look, color: true }).join('\n');
  const plain = drawMap(striped(), 64 * MIB, { ...look, color: false }).join('\n');
  assert.ok(!plain.includes(ESCAPE));
  assert.equal(stripVTControlCharacters(colored), plain);
  for (const run of colored.split(`${ESCAPE}[0m`).slice(0, -1)) {
    assert.equal(run.split(ESCAPE).length, 2, 'one colour at a time');
  }
});

test('when a picture is drawn, then its rectangles cover the volume once, in the colours of the legend', () => {
  const svg = svgMap(striped(), 64 * MIB, { title: 'vg/<snap> & "co"\u0007', subtitle: 'sub' });
  assert.ok(svg.includes('vg/&lt;snap&gt; &amp; &quot;co&quot;\u{FFFD}'));
  assert.ok(!svg.includes('\u0007'));
  const rectangles = [
    ...svg.matchAll(
      /<rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)" fill="(#\w+)"/g,
    ),
  ];
  const cells = rectangles.filter(
    ([, , , height]) => height !== undefined && Number(height) !== 14,
  );
  const area = cells.reduce(
    (sum, [, , , width, height]) => sum + Number(width) * Number(height),
    0,
  );
  assert.ok(rectangles.length > 64);
  assert.ok(Math.abs(area - 960 * 384) < 1, `${area}`);
  const changed = cells.filter(([, , , , , fill]) => fill === '#7f0000');
  assert.equal(
    changed.reduce((sum, [, , , width]) => sum + Number(width), 0),
    4 * 960 + 5, // four of 64 rows, and the cell with the one block
  );
});

test('when there is nothing to draw, then there is a legend', () => {
  const coverage = createCoverage();
  assert.equal(drawMap(coverage, 0, { width: 80, color: false, unicode: true }).length, 1);
  assert.match(svgMap(coverage, 0, { title: '', subtitle: '' }), /<\/svg>\n$/);
});
