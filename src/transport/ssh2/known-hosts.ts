import { createHmac, randomBytes } from 'node:crypto';

/** One usable line of a known_hosts file, see sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. */
export interface KnownHost {
  marker: 'none' | 'revoked' | 'cert-authority';
  /** The first field: patterns, or one hashed name. */
  hosts: string;
  keyType: string;
  /** The key as it goes over the wire (RFC 4253, section 6.6). */
  key: Buffer;
  path: string;
  /** Counted from 1. */
  line: number;
}

const MARKERS = { '@revoked': 'revoked', '@cert-authority': 'cert-authority' } as const;

/** Reads one file's text. Lines that are not entries are passed over, as OpenSSH does. */
export function parseKnownHosts(text: string, path: string): KnownHost[] {
  const entries: KnownHost[] = [];
  text.split('\n').forEach((content, index) => {
    const fields = content.trim().split(/[ \t]+/);
    if (fields[0] === undefined || fields[0] === '' || fields[0].startsWith('#')) return;
    let marker: KnownHost['marker'] = 'none';
    if (fields[0].startsWith('@')) {
      const known = Object.entries(MARKERS).find(([name]) => name === fields[0]);
      if (known === undefined) return;
      marker = known[1];
      fields.shift();
    }
    const [hosts, keyType, encoded] = fields;
    if (hosts === undefined || keyType === undefined || encoded === undefined) return;
    const key = Buffer.from(encoded, 'base64');
    if (keyTypeOf(key) !== keyType) return;
    entries.push({ marker, hosts, keyType, key, path, line: index + 1 });
  });
  return entries;
}

/** The type a key's own bytes give, such as `ssh-ed25519`; empty when they are not a key. */
export function keyTypeOf(key: Buffer): string {
  if (key.length < 4) return '';
  const length = key.readUInt32BE(0);
  return length > key.length - 4 ? '' : key.toString('latin1', 4, 4 + length);
}

/** How a host is written in known_hosts: `host`, or `[host]:port` off port 22. */
export function knownHostsName(hostName: string, port: number): string {
  const lower = hostName.toLowerCase();
  return port === 22 ? lower : `[${lower}]:${port}`;
}

/** Whether the entry speaks of the host so named: hashed, or by patterns with `*`, `?` and `!`. */
export function matchesHost(entry: KnownHost, name: string): boolean {
  if (entry.hosts.startsWith('|')) return matchesHash(entry.hosts, name);
  let matched = false;
  for (const pattern of entry.hosts.split(',')) {
    const negated = pattern.startsWith('!');
    if (!matchesPattern(negated ? pattern.slice(1) : pattern, name)) continue;
    if (negated) return false;
    matched = true;
  }
  return matched;
}

/** A line for a known_hosts file, its host hashed or plain. */
export function knownHostsLine(name: string, key: Buffer, hashed: boolean): string {
  const host = hashed ? hashName(name, randomBytes(20)) : name;
  return `${host} ${keyTypeOf(key)} ${key.toString('base64')}\n`;
}

/** `|1|SALT|HASH`: HMAC-SHA1 of the name under the salt, both in base64. */
function hashName(name: string, salt: Buffer): string {
  const hash = createHmac('sha1', salt).update(name).digest('base64');
  return `|1|${salt.toString('base64')}|${hash}`;
}

function matchesHash(hosts: string, name: string): boolean {
  const [, version, salt, hash] = hosts.split('|');
  if (version !== '1' || salt === undefined || hash === undefined) return false;
  return hashName(name, Buffer.from(salt, 'base64')) === `|1|${salt}|${hash}`;
}

function matchesPattern(pattern: string, name: string): boolean {
  const source = pattern
    .toLowerCase()
    .replace(/[\\^$.*+?()[\]{}|]/g, (char) =>
      char === '*' ? '.*' : char === '?' ? '.' : `\\${char}`,
    );
  return new RegExp(`^${source}$`, 's').test(name);
}
