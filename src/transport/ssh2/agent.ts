import { once } from 'node:events';
import { connect } from 'node:net';
import type { ParsedKey, SignCallback, SigningRequestOptions } from 'ssh2';
import type { Ssh2 } from './library.js';

/** Message numbers of the agent protocol (draft-ietf-sshm-ssh-agent, section 6.1). */
const REQUEST_IDENTITIES = 11;
const IDENTITIES_ANSWER = 12;

const AGENT_TIMEOUT_MS = 10_000;
/** OpenSSH's own limit for an agent's message (AGENT_MAX_LEN in authfd.c). */
const MAX_MESSAGE_BYTES = 256 * 1024;

/** A key the agent holds, of any type, known to ssh2 or not. */
export interface AgentKey {
  type: string;
  key: Buffer;
  comment: string;
}

/** Asks the agent on this socket for its keys. @throws Error of the socket or the protocol */
export async function listAgentKeys(socketPath: string): Promise<AgentKey[]> {
  const socket = connect(socketPath);
  socket.setTimeout(AGENT_TIMEOUT_MS, () => socket.destroy(new Error('it does not answer')));
  try {
    await once(socket, 'connect');
    socket.write(Buffer.from([0, 0, 0, 1, REQUEST_IDENTITIES]));
    let message = Buffer.alloc(0);
    for await (const chunk of socket) {
      message = Buffer.concat([message, chunk as Buffer]);
      if (message.length < 4) continue;
      const length = message.readUInt32BE(0);
      if (length > MAX_MESSAGE_BYTES) break;
      if (message.length >= 4 + length) return readAnswer(message.subarray(4, 4 + length));
    }
    throw new Error('its answer is malformed');
  } finally {
    socket.destroy();
  }
}

/** byte 12, uint32 count, then each key as string blob, string comment. */
function readAnswer(message: Buffer): AgentKey[] {
  if (message[0] !== IDENTITIES_ANSWER) throw new Error('it refuses to list its keys');
  const keys: AgentKey[] = [];
  let position = 5;
  const next = () => {
    const length = message.readUInt32BE(position);
    const start = position + 4;
    position = start + length;
    if (position > message.length) throw new Error('its answer is malformed');
    return message.subarray(start, position);
  };
  for (let left = message.readUInt32BE(1); left > 0; left--) {
    const key = next();
    const comment = next().toString();
    keys.push({ type: key.toString('latin1', 4, 4 + key.readUInt32BE(0)), key, comment });
  }
  return keys;
}

/** A public key to offer, and how to sign with its private half once the server wants it. */
export interface Identity {
  /** For messages: `agent key laptop`, a path. */
  label: string;
  publicKey: ParsedKey;
  sign(data: Buffer, options: SigningRequestOptions): Promise<Buffer>;
}

/**
 * Presents identities to ssh2 as one agent, in the order given: ssh2 then asks the server about
 * each, and has only the accepted one sign, so that no passphrase is asked for in vain.
 */
export function identityAgent(ssh2: Ssh2, identities: readonly Identity[]) {
  class IdentityAgent extends ssh2.BaseAgent<ParsedKey> {
    override getIdentities(callback: (error?: Error | null, keys?: ParsedKey[]) => void): void {
      callback(
        null,
        identities.map(({ publicKey }) => publicKey),
      );
    }
    override sign(
      publicKey: ParsedKey,
      data: Buffer,
      optionsOrCallback: SigningRequestOptions | SignCallback,
      maybeCallback?: SignCallback,
    ): void {
      const [options, callback] =
        typeof optionsOrCallback === 'function'
          ? [{}, optionsOrCallback]
          : [optionsOrCallback, maybeCallback];
      const identity = identities.find((candidate) => candidate.publicKey === publicKey);
      const signature =
        identity === undefined
          ? Promise.reject(new Error('an unknown key'))
          : identity.sign(data, options);
      signature.then(
        (signed) => callback?.(null, signed),
        (error: Error) => callback?.(error),
      );
    }
  }
  return new IdentityAgent();
}
