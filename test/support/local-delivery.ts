import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { loadEngine } from '#lvmsync/block/engines.js';
import { identify } from '#lvmsync/block/identity.js';
import { stateDirectoryPath } from '#lvmsync/block/state-directory.js';
import { applyStream } from '#lvmsync/receive/apply.js';
import { type ProgressFile, progressFile } from '#lvmsync/receive/progress.js';
import { openTargetState } from '#lvmsync/receive/state-directory.js';
import { type ChangeSource, openStoreSource } from '#lvmsync/send/change-source.js';
import { localChannel } from '#lvmsync/transport/local.js';
import { deliver } from '#lvmsync/workflow/deliver.js';
import { createStoreFixture, type StoreFixture } from './store-fixture.js';

export interface DeliveryOptions {
  targetPath: string;
  transactional?: boolean;
  /** What is sent in place of the fixture's changes. */
  change(source: ChangeSource): ChangeSource | Promise<ChangeSource>;
}

/** A volume that has changed, and both ends of its transfer in this process. */
export interface LocalDelivery {
  fixture: StoreFixture;
  /** Where the receiver remembers an interrupted transfer to a target. */
  progressOf(targetPath: string): Promise<ProgressFile>;
  /** Sends once. @returns the warnings */
  send(options: DeliveryOptions): Promise<string[]>;
}

export function createLocalDelivery(directory: string): LocalDelivery {
  const seed = 5;
  const fixture = createStoreFixture(directory, { seed });
  const stateDirectory = join(directory, 'state');
  mkdirSync(stateDirectory, { mode: 0o700 });
  const { engine } = loadEngine('native');
  return {
    fixture,
    async progressOf(targetPath) {
      const target = await identify(targetPath);
      const state = await openTargetState(stateDirectoryPath(stateDirectory), target);
      return progressFile(state.progressPath);
    },
    async send({ targetPath, transactional, change }) {
      const source = await openStoreSource({
        storePath: join(directory, `store-${seed}`),
        dataPath: join(directory, `origin-${seed}`),
        engine,
      });
      const warnings: string[] = [];
      try {
        await deliver({
          source: await change(source),
          engine,
          open: async () =>
            localChannel(async (input, answers) => {
              const from = { input, answers, engine, version: '1' };
              await applyStream({ ...from, targetPath, stateDirectory, transactional });
            }),
          protocol: 4,
          command: 'lvmsync',
          version: '1',
          base: 'sample',
          timeoutMs: 0,
          retries: 0,
          onStderr() {},
          onWarning: (line) => warnings.push(line),
        });
      } finally {
        await source.close();
      }
      return warnings;
    },
  };
}
