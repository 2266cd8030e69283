import { userInfo } from 'node:os';
import type { ParsedKey } from 'ssh2';
import { describeErrno } from '../../block/errno.js';
import { readFile, stat } from '../../files.js';
import { keyTypeOf } from './known-hosts.js';
import type { Ssh2 } from './library.js';

/** What an IdentityFile turned out to hold. */
export type KeyFile =
  | { kind: 'missing' }
  /** Cannot be used; the reason is for people. */
  | { kind: 'unusable'; reason: string; publicKey?: ParsedKey }
  /** A public key only: it chooses a key of the agent. */
  | { kind: 'public'; publicKey: ParsedKey }
  | { kind: 'private'; publicKey: ParsedKey; privateKey: ParsedKey }
  /** Needs a passphrase; `publicKey` is absent for the old formats that hide it. */
  | { kind: 'encrypted'; publicKey: ParsedKey | undefined; text: Buffer };

const MAGIC = 'openssh-key-v1\0';

/** Reads a key file as far as that goes without a passphrase. Never throws. */
export async function readKeyFile(ssh2: Ssh2, path: string): Promise<KeyFile> {
  let text: Buffer;
  try {
    text = await readFile(path);
    const { mode, uid } = await stat(path);
    const looksPrivate = text.includes('PRIVATE KEY');
    if (looksPrivate && uid === userInfo().uid && (mode & 0o077) !== 0) {
      const octal = (mode & 0o777).toString(8);
      return { kind: 'unusable', reason: `its permissions ${octal} let others read it` };
    }
  } catch (error) {
    const errno = error instanceof Error && 'code' in error ? String(error.code) : 'error';
    const publicKey = errno === 'ENOENT' ? await readPublicKey(ssh2, path) : undefined;
    if (publicKey !== undefined) return { kind: 'public', publicKey };
    if (errno === 'ENOENT') return { kind: 'missing' };
    return { kind: 'unusable', reason: `it cannot be read: ${describeErrno(errno)}` };
  }
  const publicBlob = opensshPublicBlob(text);
  const type = publicBlob === undefined ? '' : keyTypeOf(publicBlob);
  if (type.startsWith('sk-')) {
    return {
      kind: 'unusable',
      reason: 'it belongs to a hardware key (FIDO), which only ssh can use',
    };
  }
  const key = parse(ssh2, text);
  if (key === undefined) {
    if (!isEncrypted(text)) {
      return { kind: 'unusable', reason: `its format or type ${type} is not supported`.trim() };
    }
    const inside = publicBlob === undefined ? undefined : parse(ssh2, publicBlob);
    return { kind: 'encrypted', publicKey: inside ?? (await readPublicKey(ssh2, path)), text };
  }
  return key.isPrivateKey()
    ? { kind: 'private', publicKey: key, privateKey: key }
    : { kind: 'public', publicKey: key };
}

/** The private key under this passphrase; `undefined` when it is the wrong one. */
export function decryptKey(ssh2: Ssh2, text: Buffer, passphrase: string): ParsedKey | undefined {
  const key = parse(ssh2, text, passphrase);
  return key?.isPrivateKey() ? key : undefined;
}

/** An ssh2 key of a blob or a file's text; `undefined` where ssh2 knows no such key. */
export function parse(ssh2: Ssh2, data: Buffer, passphrase?: string): ParsedKey | undefined {
  const parsed: unknown = ssh2.parseKey(data, passphrase);
  const key: unknown = Array.isArray(parsed) ? parsed[0] : parsed;
  return key === undefined || key instanceof Error ? undefined : (key as ParsedKey);
}

async function readPublicKey(ssh2: Ssh2, path: string): Promise<ParsedKey | undefined> {
  try {
    return parse(ssh2, await readFile(`${path}.pub`));
  } catch {
    return undefined;
  }
}

/** The public key of OpenSSH's own format, in the clear even when the rest is encrypted. */
function opensshPublicBlob(text: Buffer): Buffer | undefined {
  const armoured = /-----BEGIN OPENSSH PRIVATE KEY-----([A-Za-z0-9+/=\s]+)-----END/.exec(
    text.toString('latin1'),
  );
  const data = Buffer.from(armoured?.[1] ?? '', 'base64');
  if (data.toString('latin1', 0, MAGIC.length) !== MAGIC) return undefined;
  let position = MAGIC.length;
  const next = () => {
    const start = position + 4;
    position = start + data.readUInt32BE(position);
    return data.subarray(start, position);
  };
  try {
    // PROTOCOL.key: ciphername, kdfname, kdfoptions, uint32 number of keys, publickey1.
    next();
    next();
    next();
    position += 4;
    return next();
  } catch {
    return undefined;
  }
}

function isEncrypted(text: Buffer): boolean {
  if (opensshPublicBlob(text) !== undefined) return true;
  return /ENCRYPTED|^Encryption: (?!none)/m.test(text.toString('latin1'));
}
