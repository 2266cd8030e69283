/**
 * A process or a worker thread that ends in some way while batches are in flight.
 * Arguments: engine, path of a file of 8 MiB, way to end, turns of the event loop before it.
 */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { type EngineChoice, loadEngine } from '#lvmsync/block/engines.js';
import type { IoChoice } from '#lvmsync/block/native-engine.js';
import { batchOf, type Piece } from './engine-fixture.js';

const FILE_BYTES = 8 * 1024 * 1024;

interface Orders {
  engine: EngineChoice;
  io: IoChoice;
  path: string;
  ending: string;
  turns: number;
}

const orders: Orders = isMainThread ? JSON.parse(process.argv[2] ?? '') : workerData;
const { engine } = loadEngine(orders.engine, { io: orders.io });
const file = await engine.open(orders.path, { mode: 'write' });

/** Aligned and unaligned pieces, so that every path is in flight. */
const pieces: Piece[] = Array.from({ length: 512 }, (_, index) => ({
  offset: index * 16384 + (index % 3),
  length: 16384 - 5,
  position: index * 16384 + (index % 3),
}));

function startBatches(): Promise<unknown> {
  return Promise.all(
    Array.from({ length: 4 }, async (_, index) => {
      const batch = batchOf(engine.allocate(FILE_BYTES), pieces);
      await (index === 0 ? file.write(batch) : file.read(batch));
      await Promise.all([
        engine.crc32c(batch.buffer),
        engine.findZeroBlocks(batch.buffer, 4096),
        engine.examine(batch.buffer, 4096, 0),
        engine.findEqualBlocks(batch.buffer, batch.buffer, 4096),
        engine.hashPieces(batch),
      ]);
    }),
  );
}

const done = startBatches();
parentPort?.postMessage('started');
for (let turn = 0; turn < orders.turns; turn++) {
  await new Promise((resolve) => setImmediate(resolve));
}
switch (orders.ending) {
  case 'exit':
    process.exit(0);
    break;
  case 'throw':
    throw new Error('on purpose');
  case 'drain':
    break; // the event loop ends by itself once the batches are done
  case 'finish':
    await done;
    await file.close();
    console.log('finished');
    break;
  case 'repeat':
    for (;;) await startBatches();
  default:
    throw new Error(`unknown ending ${orders.ending}`);
}
