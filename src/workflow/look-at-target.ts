/** What a target is, asked of its receiver before anything is sent. */
import type { Engine } from '../block/engine.js';
import { LvmsyncError } from '../errors.js';
import { deviceNode } from '../lvm/dm-device.js';
import { inBytes } from '../report/quantities.js';
import { askReceiver } from '../send/ask-receiver.js';
import type { ChangeSource } from '../send/change-source.js';
import type { Channel } from '../transport/channel.js';
import { type DeliverOptions, openForProto4 } from './deliver.js';
import type { Origin } from './origin.js';

/** How data is sent, whatever the data. */
export type DeliveryWishes = Omit<
  DeliverOptions,
  'source' | 'engine' | 'open' | 'base' | 'protocol'
>;

/** Receivers of one target. */
export interface PeerConnection {
  open: DeliverOptions['open'];
  openVerifier(onStderr: DeliverOptions['onStderr'], forRepair?: boolean): Promise<Channel>;
  close(): Promise<void>;
}

/** What a receiver is asked about: the devices of a source are no targets, its size must fit. */
export type PeerSource = Pick<ChangeSource, 'volumeBytes' | 'paths'>;

export interface LookOptions {
  origin: Origin;
  engine: Engine;
  delivery: DeliveryWishes;
  connect(source: PeerSource): PeerConnection;
  /** Have a receiver look that may write: it completes what an earlier run had begun to apply. */
  completing?: boolean | undefined;
}

/**
 * Says in words what the target is.
 *
 * @throws LvmsyncError TARGET_TOO_SMALL, what the receiver refuses with, and its kin
 */
export async function lookAtTarget(options: LookOptions): Promise<string> {
  const { volume } = options.origin;
  const { delivery, engine } = options;
  const source = { volumeBytes: volume.sizeBytes, paths: [await deviceNode(volume.device)] };
  const connection = options.connect(source);
  // A receiver that is only asked calls that a failure.
  const held: Buffer[] = [];
  try {
    const channel = await openForProto4(
      {
        ...delivery,
        protocol: 4,
        open: (protocol, onStderr) =>
          options.completing
            ? connection.open(protocol, onStderr)
            : connection.openVerifier(onStderr, true),
        onStderr: (chunk) => held.push(chunk),
      },
      true,
    );
    if (channel === undefined) throw new Error('no receiver');
    const hello = await askReceiver(channel, { engine, timeoutMs: delivery.timeoutMs });
    const { target, version } = hello;
    if (target.sizeBytes < volume.sizeBytes) {
      throw new LvmsyncError(
        'TARGET_TOO_SMALL',
        `the target has ${target.sizeBytes} bytes, but the origin has ${volume.sizeBytes}`,
        { hint: 'enlarge it (lvextend) or name a larger target' },
      );
    }
    const kind = target.kind === 'file' ? 'a file' : 'a block device';
    return `${kind} of ${inBytes(target.sizeBytes)}, not in use; lvmsync ${version} there`;
  } catch (error) {
    for (const chunk of held) delivery.onStderr(chunk);
    throw error;
  } finally {
    await connection.close();
  }
}
