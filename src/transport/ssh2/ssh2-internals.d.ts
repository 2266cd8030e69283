/** What of ssh2 is loaded, looked at or replaced, and left out by its types. */
declare module 'ssh2/lib/protocol/crypto.js' {
  /** Encrypts what is sent. */
  export interface Cipher {
    /** How many packets there were before the next one, modulo 2^32. */
    outSeqno: number;
    /** Room for a packet with so many bytes of message, its lengths and its padding filled in. */
    allocPacket(messageBytes: number): Buffer;
    /** Encrypts a packet in its place, and writes it. */
    encrypt(packet: Buffer): void;
    free(): void;
  }

  export interface CipherConfig {
    outbound: {
      onWrite: Write;
      seqno: number;
      cipherInfo: { sslName: string; keyLen: number; ivLen: number };
      cipherKey: Buffer;
      cipherIV: Buffer;
    };
  }

  /** Each protocol has a function of its own that writes to its socket. */
  export type Write = (bytes: Buffer) => void;

  export type CreateCipher = (config: CipherConfig) => Cipher;

  const internals: { bindingAvailable: boolean; createCipher: CreateCipher };
  export default internals;
}

declare module 'ssh2/lib/client.js' {
  export { Client as default } from 'ssh2';
}

declare module 'ssh2/lib/agent.js' {
  import type { BaseAgent, OpenSSHAgent } from 'ssh2';

  const agents: { BaseAgent: typeof BaseAgent; OpenSSHAgent: typeof OpenSSHAgent };
  export default agents;
}

declare module 'ssh2/lib/protocol/keyParser.js' {
  import type { utils } from 'ssh2';

  const keys: Pick<typeof utils, 'parseKey'>;
  export default keys;
}
