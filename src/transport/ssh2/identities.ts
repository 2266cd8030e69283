import { basename } from 'node:path';
import type { ParsedKey } from 'ssh2';
import { reasonOf } from '../../block/errno.js';
import { access } from '../../files.js';
import { type AgentKey, type Identity, listAgentKeys } from './agent.js';
import type { SshConfig } from './config.js';
import { decryptKey, type KeyFile, parse, readKeyFile } from './key-file.js';
import type { Ssh2 } from './library.js';
import type { Terminal } from './terminal.js';

/** The keys to offer to a server, in order, and what was found but cannot be offered. */
export interface Identities {
  offered: Identity[];
  /** For people: `NAME: why not`. */
  skipped: string[];
  /** Whether something was skipped that `ssh` itself could have used. */
  sshCouldMore: boolean;
}

interface FileIdentity {
  path: string;
  file: KeyFile;
}

/**
 * Gathers the agent's keys and the key files as OpenSSH orders them: the agent's keys that are
 * named by an IdentityFile, then its others unless IdentitiesOnly, then the remaining files.
 */
export async function gatherIdentities(
  ssh2: Ssh2,
  config: SshConfig,
  terminal: Terminal | undefined,
): Promise<Identities> {
  const skipped: string[] = [];
  if (!config.pubkeyAuthentication) return { offered: [], skipped, sshCouldMore: false };
  const [files, agentKeys, certificates] = await Promise.all([
    Promise.all(
      config.identityFiles.map(async (path) => ({ path, file: await readKeyFile(ssh2, path) })),
    ),
    listKeys(config.agentSocket, skipped),
    findCertificates(config.identityFiles),
  ]);
  const named: Identity[] = [];
  const others: Identity[] = [];
  let sshCouldMore = certificates.length > 0;
  for (const path of certificates) skipped.push(`${path}: certificates are not supported`);
  for (const agentKey of agentKeys) {
    const publicKey = parse(ssh2, agentKey.key);
    const label = `agent key ${agentKey.comment}`;
    if (publicKey === undefined) {
      skipped.push(`${label}: ${agentKey.type} is not supported`);
      sshCouldMore = true;
      continue;
    }
    const identity = agentIdentity(ssh2, config.agentSocket ?? '', label, publicKey);
    const isNamed = files.some(({ file }) => publicKeyOf(file)?.equals(publicKey));
    if (isNamed) named.push(identity);
    else if (!config.identitiesOnly) others.push(identity);
  }
  const fromFiles: Identity[] = [];
  for (const { path, file } of files) {
    const publicKey = publicKeyOf(file);
    if (publicKey !== undefined && named.some((known) => known.publicKey.equals(publicKey)))
      continue;
    const usable = await fileIdentity(ssh2, { path, file }, config, terminal);
    if (typeof usable !== 'string') fromFiles.push(usable);
    else if (usable !== '') skipped.push(`${path}: ${usable}`);
    if (file.kind === 'unusable' && /hardware|not supported/.test(file.reason)) sshCouldMore = true;
  }
  return { offered: [...named, ...others, ...fromFiles], skipped, sshCouldMore };
}

function publicKeyOf(file: KeyFile): ParsedKey | undefined {
  return file.kind === 'missing' ? undefined : file.publicKey;
}

async function listKeys(socketPath: string | undefined, skipped: string[]): Promise<AgentKey[]> {
  if (socketPath === undefined || socketPath === '') return [];
  try {
    return await listAgentKeys(socketPath);
  } catch (error) {
    const reason = reasonOf(error).words;
    skipped.push(`agent at ${socketPath}: ${reason}`);
    return [];
  }
}

function agentIdentity(
  ssh2: Ssh2,
  socketPath: string,
  label: string,
  publicKey: ParsedKey,
): Identity {
  const agent = new ssh2.OpenSSHAgent(socketPath);
  return {
    label,
    publicKey,
    sign: (data, options) =>
      new Promise((resolve, reject) => {
        agent.sign(publicKey, data, options, (error, signature) => {
          if (signature !== undefined) resolve(signature);
          else reject(new Error(`${label}: the agent would not sign`, { cause: error }));
        });
      }),
  };
}

/** The identity, or why the file gives none; empty for a file nobody asked for. */
async function fileIdentity(
  ssh2: Ssh2,
  { path, file }: FileIdentity,
  config: SshConfig,
  terminal: Terminal | undefined,
): Promise<Identity | string> {
  switch (file.kind) {
    case 'missing':
      return isDefaultName(path) ? '' : 'no such file';
    case 'unusable':
      return file.reason;
    case 'public':
      return 'there is only its public half, and the agent does not hold the key';
    case 'private': {
      const { publicKey, privateKey } = file;
      return {
        label: path,
        publicKey,
        sign: async (data, { hash }) => sign(privateKey, data, hash),
      };
    }
    case 'encrypted': {
      if (terminal === undefined || config.batchMode) {
        return 'it is encrypted, and there is no terminal to ask for its passphrase; use ssh-agent';
      }
      const ask = () => askPassphrase(ssh2, path, file.text, terminal, config);
      // Without its public half the server cannot be asked first whether it wants the key.
      const known = file.publicKey ?? (await ask().catch(() => undefined));
      if (known === undefined) return 'no right passphrase was given';
      let privateKey = known.isPrivateKey() ? known : undefined;
      return {
        label: path,
        publicKey: known,
        async sign(data, { hash }) {
          privateKey ??= await ask();
          return sign(privateKey, data, hash);
        },
      };
    }
  }
}

async function askPassphrase(
  ssh2: Ssh2,
  path: string,
  text: Buffer,
  terminal: Terminal,
  config: SshConfig,
): Promise<ParsedKey> {
  for (let left = config.numberOfPasswordPrompts; left > 0; left--) {
    const passphrase = await terminal.ask(`Enter passphrase for key '${path}': `, 'hidden');
    if (passphrase === '') break;
    const key = decryptKey(ssh2, text, passphrase);
    if (key !== undefined) return key;
  }
  throw new Error(`${path}: no right passphrase was given`);
}

function sign(privateKey: ParsedKey, data: Buffer, hash: string | undefined): Buffer {
  const signature: unknown = privateKey.sign(data, hash);
  if (Buffer.isBuffer(signature)) return signature;
  throw new Error('the key cannot sign', { cause: signature });
}

/** OpenSSH tries `KEY-cert.pub` beside each key; ssh2 cannot. */
async function findCertificates(paths: readonly string[]): Promise<string[]> {
  const candidates = paths.map((path) => `${path}-cert.pub`);
  const found = await Promise.all(
    candidates.map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  );
  return candidates.filter((_, index) => found[index]);
}

function isDefaultName(path: string): boolean {
  return /^id_(rsa|dsa|ecdsa|ed25519|xmss)(_sk)?$/.test(basename(path));
}
