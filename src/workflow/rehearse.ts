/** A transfer without its data: everything is looked at that would be, and nothing is written. */
import type { Engine } from '../block/engine.js';
import type { BaseCheck } from '../send/base-check.js';
import type { ChangeSource } from '../send/change-source.js';
import { newRun } from '../send/transfer.js';
import { converseToVerify, type Verification } from '../send/verify.js';
import type { Channel } from '../transport/channel.js';
import { type ConversationOptions, converseUntilDone } from './deliver.js';

export interface RehearseOptions extends Omit<ConversationOptions, 'open'> {
  source: ChangeSource;
  engine: Engine;
  version: string;
  base: BaseCheck;
  /** Starts a receiver that looks at its target as one that writes would, and only answers. */
  openVerifier(onStderr: (chunk: Buffer) => void): Promise<Channel>;
  onNote?: ((line: string) => void) | undefined;
}

/** What the receiver has said. */
export type Rehearsal = Pick<Verification, 'target' | 'version' | 'resumeOffset'>;

/**
 * Has the receiver open its target to be read, refuse what it would refuse, and compare the base.
 *
 * @returns undefined when it speaks PROTO[3] only, and cannot be asked
 * @throws LvmsyncError as `deliver` before its first write
 */
export async function rehearse(options: RehearseOptions): Promise<Rehearsal | undefined> {
  const { openVerifier, base, protocol } = options;
  if (protocol === 3) return undefined;
  const run = newRun();
  return converseUntilDone(
    { ...options, open: (_, onStderr) => openVerifier(onStderr) },
    async (channel, answered) => {
      let rehearsal: Rehearsal | undefined;
      await converseToVerify({ ...options, channel, answered, run }, async (verification) => {
        await verification.checkBase(base);
        rehearsal = verification;
      });
      return rehearsal;
    },
  );
}
