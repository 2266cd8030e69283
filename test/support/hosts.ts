import { spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { type CommandOptions, type CommandResult, mustRun, runCommand } from './command.js';
import { inGuest } from './kernel.js';
import { type SshdOptions, startSshd, type TestSshd } from './sshd.js';

export interface ReceiverOptions {
  /** The receiver's own disks: the sender loses sight of them. */
  disks?: string[];
  sshd?: SshdOptions;
  /** Host name, and the name the sender's ssh knows it by; default `receiver`. */
  name?: string;
}

/**
 * Another machine, as far as the guest's kernel can play one: its own network, host name, /dev with
 * its own disks only, /run and LVM configuration, and an sshd on port 22. The sender is the guest
 * itself. The kernel, and with it the list of device-mapper devices, is one for both.
 */
export interface Receiver {
  name: string;
  address: string;
  sshd: TestSshd;
  /** Runs a program on the receiver. */
  run(program: string, args: string[], options?: CommandOptions): Promise<CommandResult>;
  /** Runs a program there that must succeed; resolves its output. */
  mustRun(program: string, args: string[], options?: CommandOptions): Promise<string>;
  /** The path by which the sender's side can open one of the receiver's files or devices. */
  path(path: string): Promise<string>;
  stop(): Promise<void>;
}

// Run in the new namespaces. Its arguments: the host name, then the disks to keep.
const BECOME_RECEIVER = `
set -e
hostname "$1"; shift
mkdir -p /run/new/dev
mount -t tmpfs -o mode=755 dev /run/new/dev
cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/ptmx "$@" /run/new/dev/
ln -s /proc/self/fd /run/new/dev/fd
mkdir /run/new/dev/mapper /run/new/dev/pts /run/new/dev/shm
cp -a /dev/mapper/control /run/new/dev/mapper/
mount --bind /dev/pts /run/new/dev/pts
mount -t tmpfs shm /run/new/dev/shm
mount --move /run/new/dev /dev
mount -t tmpfs run /run
mkdir -p /run/lock /run/lvm /run/sshd /run/etc-lvm
cp -a /etc/lvm/. /run/etc-lvm/
mount --bind /run/etc-lvm /etc/lvm
ip link set lo up
echo ready
exec sleep infinity
`;

let receivers = 0;

/** Starts a receiver; ssh on the sender's side then knows it by its name. In the guest only. */
export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  if (!inGuest) throw new Error('a receiver is made of namespaces: start it in the guest');
  const name = options.name ?? 'receiver';
  const disks = options.disks ?? [];
  const pid = await becomeReceiver(name, disks);
  const inReceiver = ['nsenter', '--target', String(pid), '--net', '--mount', '--uts', '--'];
  const run = (program: string, args: string[], commandOptions?: CommandOptions) =>
    runCommand('nsenter', [...inReceiver.slice(1), program, ...args], commandOptions);
  const mustRunThere = (program: string, args: string[], commandOptions?: CommandOptions) =>
    mustRun('nsenter', [...inReceiver.slice(1), program, ...args], commandOptions);

  const subnet = `10.77.${receivers++}`;
  const address = `${subnet}.2`;
  const link = `veth${receivers}`;
  await mustRun('ip', [
    'link',
    'add',
    link,
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    String(pid),
  ]);
  await mustRun('ip', ['address', 'add', `${subnet}.1/24`, 'dev', link]);
  await mustRun('ip', ['link', 'set', link, 'up']);
  await mustRunThere('ip', ['address', 'add', `${address}/24`, 'dev', 'eth0']);
  await mustRunThere('ip', ['link', 'set', 'eth0', 'up']);
  if (disks.length > 0) await mustRun('rm', disks);

  const sshd = await startSshd({
    ...options.sshd,
    listenAddress: address,
    port: 22,
    alias: name,
    commandPrefix: inReceiver,
  });
  await rememberHost(sshd);
  return {
    name,
    address,
    sshd,
    run,
    mustRun: mustRunThere,
    // Links are followed there: from here they would lead to the sender's files.
    path: async (path) => `/proc/${pid}/root${await mustRunThere('readlink', ['-f', path])}`,
    stop: async () => {
      await sshd.stop();
      for (const disk of disks) await mustRun('cp', ['-a', `/proc/${pid}/root${disk}`, disk]);
      process.kill(pid, 'SIGKILL'); // the veth pair goes with its network namespace
    },
  };
}

/** Starts the process that holds the receiver's namespaces; resolves its id. */
function becomeReceiver(name: string, disks: string[]): Promise<number> {
  const script = ['--net', '--mount', '--uts', 'sh', '-c', BECOME_RECEIVER, 'sh', name, ...disks];
  const holder = spawn('unshare', script, { stdio: ['ignore', 'pipe', 'inherit'] });
  return new Promise((resolve, reject) => {
    holder.on('error', reject);
    holder.on('exit', (status) => reject(new Error(`no receiver: exit status ${status}`)));
    holder.stdout.once('data', () => {
      holder.stdout.destroy();
      holder.unref();
      process.on('exit', () => holder.kill('SIGKILL'));
      if (holder.pid === undefined) reject(new Error('no receiver: no process'));
      else resolve(holder.pid);
    });
  });
}

/** Adds the receiver to what ssh reads by itself: the ssh_config in the user's home. */
async function rememberHost(sshd: TestSshd): Promise<void> {
  const directory = join(homedir(), '.ssh');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await writeFile(join(directory, 'config'), `Include ${sshd.configFile}\n`, { mode: 0o600 });
}
