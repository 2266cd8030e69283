import { type ChildProcess, spawn } from 'node:child_process';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mustRun, NOT_LONGER_THAN_US, runCommand } from './command.js';
import { repositoryRoot } from './repository.js';

export type HostKeyType = 'ed25519' | 'ecdsa' | 'rsa';

export interface SshdOptions {
  /** Default 127.0.0.1. */
  listenAddress?: string;
  /** Default: a free one. */
  port?: number;
  /** The name the written ssh_config and known_hosts know the server by; default `receiver`. */
  alias?: string;
  /** One throwaway host key of each; default ed25519 alone. */
  hostKeyTypes?: HostKeyType[];
  /** As in sshd_config. */
  hostKeyAlgorithms?: string;
  /** As in sshd_config. */
  ciphers?: string;
  /** As in sshd_config. */
  maxSessions?: number;
  /** As in sshd_config. */
  forceCommand?: string;
  /** More lines of sshd_config, ahead of the ones written here: the first of a keyword counts. */
  extraLines?: string[];
  /** Directories before the usual ones in a session's PATH; default the checkout's bin. */
  path?: string[];
  /** More variables for the sessions. */
  environment?: Record<string, string>;
  /** Runs sshd through this command, such as `nsenter ... --`, which must exec it. */
  commandPrefix?: string[];
}

/** A real sshd with its own keys, and what a client needs to reach it. */
export interface TestSshd {
  host: string;
  port: number;
  user: string;
  alias: string;
  /** The known_hosts line of the first host key, by address: `[127.0.0.1]:2222 ssh-ed25519 AAAA...`. */
  hostKeyLine: string;
  /** The private user key that may log in. */
  identityFile: string;
  /** Every host key, by address. */
  knownHostsFile: string;
  /** For `ssh -F`: the alias and the address, strict host key checking, no agent, no questions. */
  configFile: string;
  /** The directory of all of these; removed by stop(). */
  directory: string;
  /** What sshd wrote so far, one event per line. */
  log(): string;
  /** Kills the running connections and leaves the server listening. */
  cutConnections(): Promise<void>;
  /** Kills the server and its connections and removes its files. */
  stop(): Promise<void>;
}

const SSHD = '/usr/sbin/sshd';

/**
 * Variables that sshd would not pass on: those that keep programs alive under the kernel rig, and
 * the tests' own state directory.
 */
const PASSED_ON = [
  'GLIBC_TUNABLES',
  'OPENSSL_ia32cap',
  'SIMDUTF_FORCE_IMPLEMENTATION',
  'LVMSYNC_STATE_DIR',
];

/** Starts an sshd that lets the current user in with a throwaway key. */
export async function startSshd(options: SshdOptions = {}): Promise<TestSshd> {
  if (!existsSync(SSHD)) throw new Error(`${SSHD} is missing: install openssh-server`);
  if (process.getuid?.() === 0) mkdirSync('/run/sshd', { recursive: true }); // sshd insists on it
  const directory = await mkdtemp(join(tmpdir(), 'lvmsync-sshd-'));
  try {
    const identityFile = await makeKey(directory, 'identity', 'ed25519');
    writeFileSync(join(directory, 'authorized_keys'), readFileSync(`${identityFile}.pub`));
    const hostKeys = [];
    for (const type of options.hostKeyTypes ?? (['ed25519'] as const)) {
      hostKeys.push(await makeKey(directory, `host_${type}`, type));
    }
    const settings = await commonSettings(directory, hostKeys, options);

    const host = options.listenAddress ?? '127.0.0.1';
    for (let attempt = 1; ; attempt++) {
      const port = options.port ?? (await freePort());
      const child = await listen(
        directory,
        [...settings, `ListenAddress ${host}:${port}`],
        options,
      );
      if (child !== undefined) return describe(child, directory, host, port, hostKeys, options);
      // Somebody may have taken the port between our look and sshd's bind.
      if (options.port !== undefined || attempt === 5) {
        throw new Error(`sshd does not start:\n${readFileSync(join(directory, 'log'), 'utf8')}`);
      }
    }
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}

async function makeKey(directory: string, name: string, type: HostKeyType): Promise<string> {
  const file = join(directory, name);
  await mustRun('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', name, '-f', file]);
  return file;
}

async function commonSettings(
  directory: string,
  hostKeys: string[],
  options: SshdOptions,
): Promise<string[]> {
  const home = join(directory, 'home');
  mkdirSync(home);
  const environment: Record<string, string> = {
    HOME: home, // an empty one: bash reads the user's ~/.bashrc when sshd starts it
    PATH: [
      ...(options.path ?? [join(repositoryRoot, 'bin')]),
      dirname(process.execPath),
      '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    ].join(':'),
  };
  for (const name of PASSED_ON) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  Object.assign(environment, options.environment);

  const settings = [...(options.extraLines ?? [])];
  if (options.ciphers !== undefined) settings.push(`Ciphers ${options.ciphers}`);
  if (options.maxSessions !== undefined) settings.push(`MaxSessions ${options.maxSessions}`);
  if (options.hostKeyAlgorithms !== undefined) {
    settings.push(`HostKeyAlgorithms ${options.hostKeyAlgorithms}`);
  }
  if (options.forceCommand !== undefined) settings.push(`ForceCommand ${options.forceCommand}`);
  if (await penalisesSources()) settings.push('PerSourcePenalties no');
  return [
    ...settings,
    ...hostKeys.map((file) => `HostKey ${file}`),
    `AuthorizedKeysFile ${join(directory, 'authorized_keys')}`,
    'StrictModes no',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin yes',
    // Without PAM a locked account cannot log in, not even with a key.
    `UsePAM ${accountIsLocked() ? 'yes' : 'no'}`,
    'PidFile none',
    'LogLevel VERBOSE',
    'MaxStartups 100',
    'PrintMotd no',
    `SetEnv ${Object.entries(environment)
      .map(([name, value]) => `"${name}=${value}"`)
      .join(' ')}`,
  ];
}

/** OpenSSH 9.8 on refuses addresses that failed to log in; tests fail to log in on purpose. */
async function penalisesSources(): Promise<boolean> {
  const { stderr } = await runCommand('ssh', ['-V']);
  const [, major = 0, minor = 0] = /OpenSSH_(\d+)\.(\d+)/.exec(stderr)?.map(Number) ?? [];
  return major > 9 || (major === 9 && minor >= 8);
}

function accountIsLocked(): boolean {
  if (process.getuid?.() !== 0) return false;
  const shadow = readFileSync('/etc/shadow', 'utf8');
  return shadow.split('\n').some((line) => line.startsWith(`${userInfo().username}:!`));
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0));
    });
  });
}

/** Resolves once sshd listens; undefined when it ended instead. */
async function listen(
  directory: string,
  settings: string[],
  options: SshdOptions,
): Promise<ChildProcess | undefined> {
  const configFile = join(directory, 'sshd_config');
  const logFile = join(directory, 'log');
  writeFileSync(configFile, `${settings.join('\n')}\n`);
  writeFileSync(logFile, '');
  const [program = SSHD, ...args] = [
    ...(options.commandPrefix ?? []),
    ...NOT_LONGER_THAN_US,
    ...[SSHD, '-D', '-e', '-f', configFile],
  ];
  const log = openSync(logFile, 'a');
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', log], cwd: '/' });
  closeSync(log);
  let ended = false;
  child.on('exit', () => {
    ended = true;
  });
  child.on('error', () => {
    ended = true;
  });
  while (!ended) {
    if (readFileSync(logFile, 'utf8').includes('Server listening on')) return child;
    await sleep(10);
  }
  return undefined;
}

function describe(
  child: ChildProcess,
  directory: string,
  host: string,
  port: number,
  hostKeys: string[],
  options: SshdOptions,
): TestSshd {
  const alias = options.alias ?? 'receiver';
  const user = userInfo().username;
  const identityFile = join(directory, 'identity');
  const knownHostsFile = join(directory, 'known_hosts');
  const configFile = join(directory, 'ssh_config');
  const name = port === 22 ? host : `[${host}]:${port}`;
  const hostKeyLines = hostKeys.map((file) => {
    const [type, key] = readFileSync(`${file}.pub`, 'utf8').split(' ');
    return `${name} ${type} ${key}`;
  });
  writeFileSync(knownHostsFile, `${hostKeyLines.join('\n')}\n`);
  const clientSettings = [
    `Host ${alias} ${host}`,
    `  HostName ${host}`,
    `  Port ${port}`,
    `  User ${user}`,
    `  IdentityFile ${identityFile}`,
    '  IdentitiesOnly yes',
    '  IdentityAgent none',
    `  UserKnownHostsFile ${knownHostsFile}`,
    '  GlobalKnownHostsFile /dev/null',
    '  StrictHostKeyChecking yes',
    '  BatchMode yes',
  ];
  writeFileSync(configFile, `${clientSettings.join('\n')}\n`);

  child.unref(); // a test that fails before its stop() must still end
  const killAtExit = () => {
    child.kill('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  };
  process.on('exit', killAtExit);
  const ended = new Promise<void>((resolve) => {
    child.on('exit', () => resolve());
  });
  const cutConnections = async () => {
    const connections = child.pid === undefined ? [] : await descendants(child.pid);
    for (const pid of connections) kill(pid);
  };
  return {
    host,
    port,
    user,
    alias,
    hostKeyLine: hostKeyLines[0] ?? '',
    identityFile,
    knownHostsFile,
    configFile,
    directory,
    log: () => readFileSync(join(directory, 'log'), 'utf8'),
    cutConnections,
    stop: async () => {
      await cutConnections();
      if (child.exitCode === null && child.signalCode === null) {
        child.ref();
        child.kill('SIGKILL');
        await ended;
      }
      process.off('exit', killAtExit);
      await rm(directory, { recursive: true, force: true });
    },
  };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // it ended by itself
  }
}

/** The process ids below one, children before their own children. */
async function descendants(root: number): Promise<number[]> {
  const children = new Map<number, number[]>();
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
    // proc(5): pid (comm) state ppid; comm may hold anything, parentheses included
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    children.set(parent, [...(children.get(parent) ?? []), Number(entry)]);
  }
  const found: number[] = [];
  for (let level = [root]; level.length > 0; ) {
    level = level.flatMap((pid) => children.get(pid) ?? []);
    found.push(...level);
  }
  return found;
}
