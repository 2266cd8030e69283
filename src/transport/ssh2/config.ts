import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { LvmsyncError } from '../../errors.js';
import { sshHostArgument } from '../destination.js';
import { expandPath, expandTokens, type TokenValues } from './tokens.js';

/** Whom to connect to, as the user named it. */
export interface SshTarget {
  /** A host name, an address or an alias of ssh_config. */
  host: string;
  user?: string | undefined;
  port?: number | undefined;
}

/** Where the configuration is looked for. */
export interface ConfigSource {
  /** The OpenSSH client asked with `-G`; `ssh` when not given. */
  sshProgram?: string | undefined;
  /** `ssh -F`: read this file instead of ~/.ssh/config and /etc/ssh/ssh_config. */
  configPath?: string | undefined;
  /** `ssh -o`: each `Keyword=value`, ahead of every file. */
  options?: readonly string[] | undefined;
  environment: NodeJS.ProcessEnv;
}

/** How to reach one host; names as in ssh_config(5), paths and tokens expanded. */
export interface SshConfig {
  originalHost: string;
  hostName: string;
  port: number;
  user: string;
  addressFamily: 4 | 6 | undefined;
  bindAddress: string | undefined;
  connectTimeoutMs: number;
  serverAliveIntervalMs: number;
  serverAliveCountMax: number;
  proxyJump: string | undefined;
  /** With its tokens expanded. */
  proxyCommand: string | undefined;
  batchMode: boolean;

  hostKeyAlias: string | undefined;
  strictHostKeyChecking: 'yes' | 'ask' | 'accept-new' | 'no';
  userKnownHostsFiles: string[];
  globalKnownHostsFiles: string[];
  hashKnownHosts: boolean;

  identityFiles: string[];
  identitiesOnly: boolean;
  /** The agent's socket; `undefined` when there is none or none is wanted. */
  agentSocket: string | undefined;
  pubkeyAuthentication: boolean;
  passwordAuthentication: boolean;
  kbdInteractiveAuthentication: boolean;
  numberOfPasswordPrompts: number;

  /** What the configuration allows, in its order; `undefined` leaves it to ssh2. */
  ciphers: string[] | undefined;
  macs: string[] | undefined;
  kexAlgorithms: string[] | undefined;
  hostKeyAlgorithms: string[] | undefined;

  /** Keywords that are set and that the built-in SSH does not know how to honour. */
  unsupported: string[];
}

const DEFAULT_CONNECT_TIMEOUT_MS = 30_000;
const DEFAULT_ALIVE_INTERVAL_MS = 30_000;
const RESOLVE_TIMEOUT_MS = 30_000;

/**
 * The configuration OpenSSH would use for `target`, as `ssh -G` tells it; where there is no
 * OpenSSH, its defaults. Settings of `Match exec` run as they would for ssh.
 * @throws LvmsyncError CONNECT_FAILED when the configuration has an error
 */
export async function resolveConfig(target: SshTarget, source: ConfigSource): Promise<SshConfig> {
  const settings = await askOpenssh(target, source);
  return settings === undefined
    ? defaultConfig(target, source)
    : readSettings(target, settings, source.environment);
}

async function askOpenssh(
  target: SshTarget,
  source: ConfigSource,
): Promise<Map<string, string[]> | undefined> {
  const program = source.sshProgram ?? 'ssh';
  const args = ['-G'];
  if (source.configPath !== undefined) args.push('-F', source.configPath);
  for (const option of source.options ?? []) args.push('-o', option);
  if (target.port !== undefined) args.push('-p', String(target.port));
  args.push('--', sshHostArgument(target.user, target.host));
  const result = await run(program, args, source.environment);
  if (result.missing) {
    if (source.configPath === undefined && (source.options ?? []).length === 0) return undefined;
    throw new LvmsyncError('CONNECT_FAILED', `${program} is needed to read an SSH configuration`, {
      hint: 'install openssh-client',
    });
  }
  if (result.failure !== undefined) {
    throw new LvmsyncError(
      'CONNECT_FAILED',
      `the SSH configuration for ${target.host} cannot be read: ${result.failure}`,
      { hint: `see what \`${program} ${args.join(' ')}\` says` },
    );
  }
  return parseSettings(result.stdout);
}

interface ProgramResult {
  stdout: string;
  missing: boolean;
  failure: string | undefined;
}

function run(
  program: string,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): Promise<ProgramResult> {
  return new Promise((resolve) => {
    const options = { env: environment, timeout: RESOLVE_TIMEOUT_MS, maxBuffer: 1 << 20 };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const missing = error?.code === 'ENOENT';
      const failure = error === null ? undefined : stderr.trim().split('\n')[0] || error.message;
      resolve({ stdout, missing, failure });
    });
    child.stdin?.end();
  });
}

/** The lines of `ssh -G`: a lower-case keyword and its value; some keywords repeat. */
function parseSettings(text: string): Map<string, string[]> {
  const settings = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ');
    if (space === -1) continue;
    const keyword = line.slice(0, space);
    const values = settings.get(keyword) ?? [];
    values.push(line.slice(space + 1));
    settings.set(keyword, values);
  }
  return settings;
}

function readSettings(
  target: SshTarget,
  settings: Map<string, string[]>,
  environment: NodeJS.ProcessEnv,
): SshConfig {
  const value = (keyword: string): string | undefined => {
    const first = settings.get(keyword)?.[0];
    return first === undefined || first === 'none' || first === '' ? undefined : first;
  };
  const flag = (keyword: string): boolean => isYes(value(keyword));
  const list = (keyword: string): string[] | undefined => value(keyword)?.split(',');
  const hostName = value('hostname') ?? target.host;
  const hostKeyAlias = value('hostkeyalias');
  const tokens = tokenValues(target, {
    hostName,
    port: Number(value('port') ?? 22),
    user: value('user') ?? userInfo().username,
    hostKeyAlias,
  });
  const connectTimeout = Number(value('connecttimeout'));
  const aliveInterval = Number(value('serveraliveinterval'));
  const family = value('addressfamily');
  const proxyCommand = value('proxycommand');
  const path = (name: string) => expandPath(name, tokens, environment);
  return {
    originalHost: target.host,
    hostName,
    port: tokens.port,
    user: tokens.user,
    addressFamily: family === 'inet' ? 4 : family === 'inet6' ? 6 : undefined,
    bindAddress: value('bindaddress'),
    connectTimeoutMs: connectTimeout > 0 ? connectTimeout * 1000 : DEFAULT_CONNECT_TIMEOUT_MS,
    serverAliveIntervalMs: aliveInterval > 0 ? aliveInterval * 1000 : DEFAULT_ALIVE_INTERVAL_MS,
    serverAliveCountMax: Number(value('serveralivecountmax') ?? 3),
    proxyJump: value('proxyjump'),
    proxyCommand: proxyCommand === undefined ? undefined : expandTokens(proxyCommand, tokens),
    batchMode: flag('batchmode'),
    hostKeyAlias,
    strictHostKeyChecking: strictness(value('stricthostkeychecking')),
    userKnownHostsFiles: splitPaths(value('userknownhostsfile')).map(path),
    globalKnownHostsFiles: splitPaths(value('globalknownhostsfile')).map(path),
    hashKnownHosts: flag('hashknownhosts'),
    identityFiles: (settings.get('identityfile') ?? []).filter((name) => name !== 'none').map(path),
    identitiesOnly: flag('identitiesonly'),
    agentSocket: agentSocket(settings.get('identityagent')?.[0], path, environment),
    pubkeyAuthentication: !isNo(value('pubkeyauthentication')),
    passwordAuthentication: !isNo(value('passwordauthentication')),
    kbdInteractiveAuthentication: !isNo(value('kbdinteractiveauthentication')),
    numberOfPasswordPrompts: Number(value('numberofpasswordprompts') ?? 3),
    ciphers: list('ciphers'),
    macs: list('macs'),
    kexAlgorithms: list('kexalgorithms'),
    hostKeyAlgorithms: list('hostkeyalgorithms'),
    unsupported: unsupportedKeywords(value, flag),
  };
}

function unsupportedKeywords(
  value: (keyword: string) => string | undefined,
  flag: (keyword: string) => boolean,
): string[] {
  const found: string[] = [];
  if (value('certificatefile') !== undefined) found.push('CertificateFile');
  if (value('pkcs11provider') !== undefined) found.push('PKCS11Provider');
  if (value('knownhostscommand') !== undefined) found.push('KnownHostsCommand');
  if (value('bindinterface') !== undefined) found.push('BindInterface');
  if (flag('proxyusefdpass')) found.push('ProxyUseFdpass');
  if (flag('hostbasedauthentication')) found.push('HostbasedAuthentication');
  if (flag('gssapiauthentication')) found.push('GSSAPIAuthentication');
  return found;
}

function defaultConfig(target: SshTarget, source: ConfigSource): SshConfig {
  const { username, homedir } = userInfo();
  const ssh = join(homedir, '.ssh');
  const keyNames = ['id_rsa', 'id_ecdsa', 'id_ecdsa_sk', 'id_ed25519', 'id_ed25519_sk'];
  return {
    originalHost: target.host,
    hostName: target.host,
    port: target.port ?? 22,
    user: target.user ?? username,
    addressFamily: undefined,
    bindAddress: undefined,
    connectTimeoutMs: DEFAULT_CONNECT_TIMEOUT_MS,
    serverAliveIntervalMs: DEFAULT_ALIVE_INTERVAL_MS,
    serverAliveCountMax: 3,
    proxyJump: undefined,
    proxyCommand: undefined,
    batchMode: false,
    hostKeyAlias: undefined,
    strictHostKeyChecking: 'ask',
    userKnownHostsFiles: [join(ssh, 'known_hosts'), join(ssh, 'known_hosts2')],
    globalKnownHostsFiles: ['/etc/ssh/ssh_known_hosts', '/etc/ssh/ssh_known_hosts2'],
    hashKnownHosts: false,
    identityFiles: keyNames.map((name) => join(ssh, name)),
    identitiesOnly: false,
    agentSocket: source.environment.SSH_AUTH_SOCK,
    pubkeyAuthentication: true,
    passwordAuthentication: true,
    kbdInteractiveAuthentication: true,
    numberOfPasswordPrompts: 3,
    ciphers: undefined,
    macs: undefined,
    kexAlgorithms: undefined,
    hostKeyAlgorithms: undefined,
    unsupported: existsSync(join(ssh, 'config'))
      ? ['~/.ssh/config (there is no ssh to read it)']
      : [],
  };
}

function tokenValues(
  target: SshTarget,
  known: { hostName: string; port: number; user: string; hostKeyAlias: string | undefined },
): TokenValues {
  const { username, uid, homedir } = userInfo();
  return {
    hostName: known.hostName,
    originalHost: target.host,
    port: known.port,
    user: known.user,
    home: homedir,
    localUser: username,
    localUserId: uid,
    localHost: hostname(),
    hostKeyName: known.hostKeyAlias ?? known.hostName,
  };
}

/** `ssh -G` prints paths in a row, unquoted; what does not begin with `/` or `~` goes on. */
function splitPaths(value: string | undefined): string[] {
  return value === undefined ? [] : value.split(/ (?=[/~])/);
}

function agentSocket(
  setting: string | undefined,
  path: (name: string) => string,
  environment: NodeJS.ProcessEnv,
): string | undefined {
  if (setting === 'none') return undefined;
  if (setting === undefined || setting === 'SSH_AUTH_SOCK') return environment.SSH_AUTH_SOCK;
  if (/^\$\w+$/.test(setting)) return environment[setting.slice(1)];
  return path(setting);
}

function strictness(value: string | undefined): SshConfig['strictHostKeyChecking'] {
  if (value === 'accept-new') return 'accept-new';
  if (isYes(value)) return 'yes';
  return isNo(value) ? 'no' : 'ask';
}

function isYes(value: string | undefined): boolean {
  return value === 'yes' || value === 'true';
}

function isNo(value: string | undefined): boolean {
  return value === 'no' || value === 'false' || value === 'off';
}
