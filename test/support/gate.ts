/** Stops a transfer in the middle, for as long as a test has something to do there. */
import { existsSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Gate {
  /** For `-e`: runs the remote command on this machine, and is the gate. */
  rsh: string;
  /**
   * Waits until the receiver has been given its first bytes, does something, and lets the rest
   * through. Rejects when the run ends before it gets there.
   */
  whenReached(run: Promise<unknown>, meanwhile: () => unknown): Promise<void>;
  remove(): Promise<void>;
}

/** A gate that is shut behind so many bytes of the stream. */
export async function createGate(openBytes: number): Promise<Gate> {
  const directory = await mkdtemp(join(tmpdir(), 'lvmsync-gate-'));
  const [rsh, reached, open] = [
    join(directory, 'rsh'),
    join(directory, 'reached'),
    join(directory, 'open'),
  ];
  // Its arguments: the host, the command line. `head` reads no byte more than it passes on,
  // and without a buffer it keeps none back.
  const script = `#!/bin/sh
{ stdbuf -o0 head -c ${openBytes}; touch ${reached}; while [ ! -e ${open} ]; do sleep 0.02; done; cat; } |
sh -c "$2"
`;
  await writeFile(rsh, script, { mode: 0o755 });
  return {
    rsh,
    async whenReached(run, meanwhile) {
      let ended = false;
      const end = () => {
        ended = true;
      };
      void run.then(end, end);
      while (!existsSync(reached) && !ended) await sleep(20);
      if (ended) throw new Error('the run ended before the gate was reached');
      try {
        await meanwhile();
      } finally {
        writeFileSync(open, '');
      }
    },
    remove: () => rm(directory, { recursive: true, force: true }),
  };
}

/** For `-e`: a program that runs the remote command on this machine. */
export async function createDirectRsh(directory: string): Promise<string> {
  const rsh = join(directory, 'rsh');
  await writeFile(rsh, '#!/bin/sh\nexec sh -c "$2"\n', { mode: 0o755 });
  return rsh;
}
