/** AES-GCM of the addon's, for the packets of SSH. */
import type { SshSealer } from './engine.js';

/** Missing where Node has no OpenSSL that shows itself to addons. */
export interface SshAddon {
  /** Answers 0 when OpenSSL refuses. */
  createSshSealer(key: Buffer, iv: Buffer): number;
  sealSshPacket(sealer: number, packet: Buffer): boolean;
  /** Answers 0 when OpenSSL refuses. */
  sealSshData(
    sealer: number,
    channel: number,
    packetBytes: number,
    data: Buffer,
    into: Buffer,
  ): number;
  closeSshSealer(sealer: number): void;
}

export function hasSealers(addon: Partial<SshAddon>): addon is SshAddon {
  return addon.createSshSealer !== undefined;
}

/** As `Engine.createSshSealer`. */
export function createNativeSealer(
  addon: SshAddon,
  key: Buffer,
  iv: Buffer,
): SshSealer | undefined {
  const handle = addon.createSshSealer(key, iv);
  if (handle === 0) return undefined;
  return {
    sealPacket(packet) {
      if (!addon.sealSshPacket(handle, packet)) throw refusal();
    },
    sealData(channel, packetBytes, data, into) {
      const bytes = addon.sealSshData(handle, channel, packetBytes, data, into);
      if (bytes === 0 && data.length > 0) throw refusal();
      return bytes;
    },
    close: () => addon.closeSshSealer(handle),
  };
}

function refusal(): Error {
  return new Error('OpenSSL could not encrypt a packet');
}
