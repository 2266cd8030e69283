import { createHash } from 'node:crypto';
import { dirname } from 'node:path';
import { LvmsyncError } from '../../errors.js';
import { appendFile, makeDirectories, readFile } from '../../files.js';
import type { SshConfig } from './config.js';
import {
  type KnownHost,
  keyTypeOf,
  knownHostsLine,
  knownHostsName,
  matchesHost,
  parseKnownHosts,
} from './known-hosts.js';
import type { Terminal } from './terminal.js';

/** What the known_hosts files say of one host. */
export interface HostKeys {
  /** The host's name there. */
  name: string;
  /** Its entries; those under its name without the port come with `bare`. */
  entries: KnownHost[];
  /** For a host off port 22: entries under its bare name, which may only confirm a key. */
  bareEntries: KnownHost[];
}

/** Where a new key is told of and decided on. */
export interface HostKeyContext {
  config: SshConfig;
  terminal: Terminal | undefined;
  onWarning: (message: string) => void;
}

/** Reads every known_hosts file of the configuration; one that does not exist counts as empty. */
export async function loadHostKeys(config: SshConfig): Promise<HostKeys> {
  const paths = [...config.userKnownHostsFiles, ...config.globalKnownHostsFiles];
  const all = (await Promise.all(paths.map(readEntries))).flat();
  // ssh_config(5): an alias is looked up as it is, without the port.
  const alias = config.hostKeyAlias?.toLowerCase();
  const name = alias ?? knownHostsName(config.hostName, config.port);
  const bareName = alias ?? config.hostName.toLowerCase();
  return {
    name,
    entries: all.filter((entry) => matchesHost(entry, name)),
    bareEntries: bareName === name ? [] : all.filter((entry) => matchesHost(entry, bareName)),
  };
}

/**
 * Decides on the key a server has proved to hold.
 * @throws LvmsyncError HOST_KEY_REFUSED unless it is known, or may be accepted as new and is stored
 */
export async function checkHostKey(
  key: Buffer,
  known: HostKeys,
  context: HostKeyContext,
): Promise<void> {
  const here = [...known.entries, ...known.bareEntries];
  const same = here.filter((entry) => entry.key.equals(key));
  const revoked = same.find((entry) => entry.marker === 'revoked');
  if (revoked !== undefined) throw revokedKey(key, known, revoked);
  if (same.some((entry) => entry.marker === 'none')) return;

  const others = known.entries.filter((entry) => entry.marker === 'none');
  const changed = others.find((entry) => entry.keyType === keyTypeOf(key));
  if (changed !== undefined) throw changedKey(key, known, changed);
  if (others.length === 0 && known.entries.some((entry) => entry.marker === 'cert-authority')) {
    throw onlyAuthority(known, context.config);
  }
  await decideOnNewKey(key, known, others, context);
}

async function decideOnNewKey(
  key: Buffer,
  known: HostKeys,
  others: readonly KnownHost[],
  context: HostKeyContext,
): Promise<void> {
  const { config, terminal, onWarning } = context;
  const mode = config.strictHostKeyChecking;
  // A new type of key for a host that is known by another is what an impostor would offer.
  if ((mode === 'accept-new' || mode === 'no') && others.length === 0) {
    await storeKey(key, known, config);
    onWarning(`permanently added ${known.name} (${describeKey(key)}) to the known hosts`);
    return;
  }
  if (mode !== 'ask' || terminal === undefined || config.batchMode) {
    throw unknownKey(key, known, others, config);
  }
  const also =
    others.length === 0 ? '' : `It is known by another type of key: ${place(others[0]!)}.\n`;
  const question =
    `The authenticity of host '${known.name}' can't be established.\n` +
    `Its key is ${describeKey(key)}.\n${also}` +
    'Continue connecting (yes/no/[fingerprint])? ';
  for (let prompt = question; ; prompt = "Please type 'yes', 'no' or the fingerprint: ") {
    const answer = (await terminal.ask(prompt, 'shown')).trim();
    if (answer.toLowerCase() === 'yes' || answer === fingerprint(key)) break;
    if (answer.toLowerCase() === 'no') throw unknownKey(key, known, others, config);
  }
  await storeKey(key, known, config);
}

/** Appends to the first of the user's files, made with the modes OpenSSH gives them. */
async function storeKey(key: Buffer, known: HostKeys, config: SshConfig): Promise<void> {
  const path = config.userKnownHostsFiles[0];
  if (path === undefined || path === '/dev/null') return;
  try {
    makeDirectories(dirname(path), 0o700);
    const text = await readText(path);
    const separator = text === '' || text.endsWith('\n') ? '' : '\n';
    const line = knownHostsLine(known.name, key, config.hashKnownHosts);
    await appendFile(path, separator + line, { mode: 0o600, flush: true });
  } catch (cause) {
    throw new LvmsyncError(
      'HOST_KEY_REFUSED',
      `the new host key of ${known.name} cannot be stored in ${path}`,
      { path, cause, hint: 'make that file writable, or add the key with ssh-keyscan' },
    );
  }
}

async function readEntries(path: string): Promise<KnownHost[]> {
  return parseKnownHosts(await readText(path), path);
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return '';
    throw new LvmsyncError('HOST_KEY_REFUSED', `cannot read the known hosts in ${path}`, {
      path,
      cause: error,
      hint: 'check its permissions',
    });
  }
}

/** `SHA256:...`, as ssh-keygen -l prints it. */
export function fingerprint(key: Buffer): string {
  return `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
}

function describeKey(key: Buffer): string {
  return `${keyTypeOf(key)} ${fingerprint(key)}`;
}

function place(entry: KnownHost): string {
  return `${entry.path}:${entry.line}`;
}

function unknownKey(
  key: Buffer,
  known: HostKeys,
  others: readonly KnownHost[],
  config: SshConfig,
): LvmsyncError {
  const other = others[0];
  const reason =
    other === undefined
      ? 'its key is not in the known hosts'
      : `it is known by a ${other.keyType} key (${place(other)}), but offers another type`;
  const commands = config.unsupported.includes('KnownHostsCommand')
    ? 'KnownHostsCommand is only honoured by -e ssh; '
    : '';
  return new LvmsyncError(
    'HOST_KEY_REFUSED',
    `the authenticity of host '${known.name}' can't be established: ${reason} (${describeKey(key)})`,
    {
      hint: `${commands}connect once with \`ssh ${config.originalHost}\` to add it, or use ssh-keyscan and compare the fingerprint`,
    },
  );
}

function changedKey(key: Buffer, known: HostKeys, entry: KnownHost): LvmsyncError {
  return new LvmsyncError(
    'HOST_KEY_REFUSED',
    `REMOTE HOST IDENTIFICATION HAS CHANGED: ${known.name} offers ${describeKey(key)}, but ${place(entry)} has ${fingerprint(entry.key)}`,
    {
      path: entry.path,
      hint: `somebody may be listening in; if the host was set up anew, remove the old key: ssh-keygen -f '${entry.path}' -R '${known.name}'`,
    },
  );
}

function revokedKey(key: Buffer, known: HostKeys, entry: KnownHost): LvmsyncError {
  return new LvmsyncError(
    'HOST_KEY_REFUSED',
    `REVOKED HOST KEY: ${known.name} offers ${describeKey(key)}, which ${place(entry)} marks as revoked`,
    { path: entry.path, hint: 'that key has been stolen or replaced: do not connect to this host' },
  );
}

function onlyAuthority(known: HostKeys, config: SshConfig): LvmsyncError {
  return new LvmsyncError(
    'TRANSPORT_UNSUPPORTED',
    `${known.name} is known by a certificate authority only, which the built-in SSH cannot check`,
    { hint: `use -e ssh, or add its own key: ssh-keyscan ${config.hostName}` },
  );
}
