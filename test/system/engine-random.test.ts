import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  batchOf,
  ENGINES,
  type Piece,
  randomBytes,
  seededRandom,
  temporaryDirectory,
} from './engine-fixture.js';

type Random = ReturnType<typeof seededRandom>;

const FILE_BYTES = 6 * 1024 * 1024 + 12345;
const ROUNDS_PER_SEED = 6;

/** Pieces that are whole multiples of `unit` on the device; 1 is any byte. */
const UNITS = [1, 512, 4096] as const;

for (const { label, engine } of ENGINES) {
  describe(`the ${label} with random batches`, () => {
    for (const unit of UNITS) {
      for (let seed = 1; seed <= 3; seed++) {
        test(`when seed ${seed} makes batches of pieces of ${unit} bytes then they equal a plain file`, async (context) => {
          const random = seededRandom(seed * 1000 + unit);
          const path = join(await temporaryDirectory(context), 'file');
          const expected = randomBytes(random, FILE_BYTES);
          await writeFile(path, expected);
          const file = await engine.open(path, { mode: 'write' });
          context.after(() => file.close());

          for (let round = 0; round < ROUNDS_PER_SEED; round++) {
            const batchCount = 1 + random(4);
            const pieces = placePieces(random, unit, 1 + random(500));
            const buffers = Array.from({ length: batchCount }, () => ({
              memory: random(2) ? engine.allocate(FILE_BYTES) : Buffer.alloc(FILE_BYTES),
              pieces: [] as Piece[],
            }));
            for (const piece of pieces) buffers[random(batchCount)]!.pieces.push(piece);

            const written = randomBytes(random, 65536);
            for (const { memory, pieces: own } of buffers) {
              packPieces(random, own);
              for (const piece of own) fillPiece(memory, piece, written);
              for (const piece of own) {
                memory.copy(expected, piece.offset, piece.position, piece.position + piece.length);
              }
            }
            await Promise.all(
              buffers.map(({ memory, pieces: own }) => file.write(batchOf(memory, own))),
            );
            if (random(2)) await file.flush();
            assert.ok(expected.equals(await readFile(path)), `round ${round}: the file differs`);

            await Promise.all(
              buffers.map(async ({ memory, pieces: own }) => {
                const found = Buffer.alloc(FILE_BYTES, 0xa5);
                for (const { offset, length, position } of own) {
                  expected.copy(found, position, offset, offset + length);
                }
                memory.fill(0xa5);
                await file.read(batchOf(memory, own));
                assert.ok(memory.equals(found), `round ${round}: the memory differs`);
              }),
            );
          }
        });
      }
    }
  });
}

/** Up to `count` disjoint pieces of the file, shuffled a little; some touch one another. */
function placePieces(random: Random, unit: number, count: number): Piece[] {
  const cuts = new Set<number>();
  for (let index = 0; index < count * 2; index++) {
    cuts.add(random(Math.floor(FILE_BYTES / unit) + 1) * unit);
  }
  if (unit === 1) cuts.add(FILE_BYTES);
  const sorted = [...cuts].sort((a, b) => a - b);
  const pieces: Piece[] = [];
  for (let index = 0; index + 1 < sorted.length && pieces.length < count; index++) {
    const offset = sorted[index]!;
    if (random(3) > 0) {
      const length = sorted[index + 1]! - offset;
      pieces.push({ offset, length, position: 0 });
    }
  }
  for (let swaps = random(20); swaps > 0 && pieces.length > 1; swaps--) {
    const from = random(pieces.length);
    const [piece] = pieces.splice(from, 1);
    pieces.splice(random(pieces.length + 1), 0, piece!);
  }
  return pieces;
}

/** Places the pieces one after the other, sometimes with a gap: the rest of the file is room. */
function packPieces(random: Random, pieces: Piece[]): void {
  let spare = FILE_BYTES - pieces.reduce((sum, { length }) => sum + length, 0);
  let position = 0;
  for (const piece of pieces) {
    const gap = random(4) === 0 ? random(Math.min(spare, 5000) + 1) : 0;
    spare -= gap;
    piece.position = position + gap;
    position += gap + piece.length;
  }
}

function fillPiece(memory: Buffer, { offset, length, position }: Piece, bytes: Buffer): void {
  for (let done = 0; done < length; ) {
    const from = (offset + done * 7) % bytes.length;
    done += bytes.copy(memory, position + done, from, Math.min(from + length - done, bytes.length));
  }
}
