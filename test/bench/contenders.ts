/** Everything that moves the changes of a volume, and the command line for it. */
import { fileURLToPath } from 'node:url';
import { lvmsyncPath } from '../support/repository.js';
import type { Volume } from './volume.js';

/** How the far side is reached. */
export interface FarSide {
  alias: string;
  /** For `ssh -F`. */
  configFile: string;
}

export interface Contender {
  name: string;
  argv(volume: Volume, far: FarSide): string[];
  /** Moves as many bytes but not these: the target cannot be right. */
  rateOnly?: true;
  /** Does not write to the target: what comes next finds it as this one did. */
  leavesTarget?: boolean;
  /** A slow run of it is of interest. */
  isOurs?: true;
  /** What it says in its output that its work took, which is counted then. */
  ownSeconds?(printed: string): number;
  /** Its bytes, where that is not what has changed. */
  bytes?: ((volume: Volume) => number) | undefined;
}

const NODE = process.execPath;
const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const GCM = 'aes128-gcm@openssh.com';
const CHACHA = 'chacha20-poly1305@openssh.com';

const source = ({ storePath, originPath }: Volume) => [
  '--cow-device',
  storePath,
  '--data-source',
  originPath,
];

/** Ours, over SSH. `ssh` stands for the client with its configuration in what `-e` is given. */
export function ours(name: string, ...options: string[]): Contender {
  return {
    name,
    isOurs: true,
    argv: (volume, { alias, configFile }) => [
      NODE,
      lvmsyncPath,
      '-q',
      ...options.map((word) => word.replace(/^ssh /, `ssh -F ${configFile} `)),
      '--ssh-config',
      configFile,
      ...source(volume),
      `${alias}:${volume.targetPath}`,
    ],
  };
}

/** Ours, to a target of this machine. */
export const oursLocal: Contender = {
  name: 'lvmsync',
  isOurs: true,
  argv: (volume) => [NODE, lvmsyncPath, '-q', ...source(volume), volume.targetPath],
};

/** The same by its own clock, as fio is timed. */
export const oursLocalByItself: Contender = {
  ...oursLocal,
  argv: (...where) => [...oursLocal.argv(...where), '--json'],
  ownSeconds: (printed) => (JSON.parse(printed) as { seconds: number }).seconds,
};

const own = ours('lvmsync, encrypted by ssh2');

/** Ours, but for what it sends over SSH. */
export const viaSsh2Alone: Contender = {
  ...own,
  argv: (...where) => ['env', 'LVMSYNC_SSH_CIPHER=ssh2', ...own.argv(...where)],
};

export const viaOpenssh = ours('lvmsync -e ssh', '-e', `ssh -c ${GCM}`);

/** `dd | ssh | dd` of the first so many blocks: as many as have changed. */
function ddOverSsh(name: string, blockBytes: number, cipher = GCM): Contender {
  const line =
    'dd if="$1" bs="$5" count="$6" iflag=direct status=none | ssh -F "$2" -c "$3" "$4" dd of="$7" bs="$5" iflag=fullblock oflag=direct conv=notrunc,fsync status=none';
  return {
    name,
    argv: ({ originPath, targetPath, changedBytes }, { alias, configFile }) =>
      ['sh', '-c', line, 'sh', originPath, configFile, cipher, alias].concat(
        String(blockBytes),
        String(changedBytes / blockBytes),
        targetPath,
      ),
  };
}

/** Where all has changed: the target is right then. */
export const dd = ddOverSsh('dd | ssh | dd', 1 << 20);
export const ddDefaultCipher = ddOverSsh('dd | ssh (its own cipher) | dd', 1 << 20, CHACHA);

/** Where some has. */
export function ddOfAsMuch(name: string, blockBytes: number): Contender {
  return { ...ddOverSsh(name, blockBytes), rateOnly: true };
}

export const rsync: Contender = {
  name: 'rsync --inplace',
  argv: ({ originPath, targetPath }, { alias, configFile }) =>
    ['rsync', '--inplace', '--no-whole-file', '--fsync', '--ignore-times'].concat(
      '-e',
      `ssh -F ${configFile} -c ${GCM}`,
      originPath,
      `${alias}:${targetPath}`,
    ),
};

/** Compares all of the volume, and makes what differs the same. */
export const oursVerify: Contender = {
  name: 'lvmsync verify --repair',
  isOurs: true,
  argv: ({ originPath, targetPath }, { alias, configFile }) =>
    [NODE, lvmsyncPath, 'verify', '--repair', '-q', '--ssh-config', configFile].concat(
      originPath,
      `${alias}:${targetPath}`,
    ),
};

/** Reads both ends at once and does nothing with them: no comparison is faster. */
export const readBoth: Contender = {
  name: 'dd of both ends to /dev/null',
  argv: ({ originPath, targetPath }, { alias, configFile }) =>
    [
      'sh',
      '-c',
      'ssh -F "$1" "$2" dd if="$3" of=/dev/null bs=1M iflag=direct status=none & dd if="$4" of=/dev/null bs=1M iflag=direct status=none; wait',
    ].concat('sh', configFile, alias, targetPath, originPath),
  rateOnly: true,
  leavesTarget: true,
};

/** Over a unix socket on this machine: nothing is encrypted. */
export const nbdcopy: Contender = {
  name: 'nbdcopy, not encrypted',
  argv: ({ originPath, targetPath }) =>
    ['env', `ORIGIN=${originPath}`, 'nbdkit', '-U', '-', 'file', targetPath].concat(
      '--run',
      'nbdcopy --flush -- "$ORIGIN" "$uri"',
    ),
};

/** As many bytes from memory through ssh2 into nothing: what SSH alone needs. */
export const ssh2Alone: Contender = {
  name: 'ssh2 alone, to /dev/null',
  argv: ({ changedBytes }, { alias, configFile }) =>
    [NODE, script('ssh2-alone.js'), configFile, alias].concat(String(changedBytes)),
  rateOnly: true,
  leavesTarget: true,
};

/** The same over TLS as Node does it. */
export const tlsAlone: Contender = {
  name: 'tls alone, to nothing',
  argv: ({ changedBytes }) => [NODE, script('tls-alone.js'), String(changedBytes)],
  rateOnly: true,
  leavesTarget: true,
};

/** One chunk read, one record written, one wait for each: the loop that is written first. */
export const simpleLoop: Contender = {
  name: 'js, simplest loop',
  argv: (volume, { alias, configFile }) =>
    [NODE, script('simple-loop.js'), volume.storePath, volume.originPath].concat(
      configFile,
      alias,
      lvmsyncPath,
      volume.targetPath,
    ),
};

/**
 * A user's own: a name and a command with {source}, {store}, {target}, {host}, {config} in it, cut
 * into words at spaces. No shell, unless the command is one.
 */
export function peer(text: string): Contender {
  const [, name, template] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || template === undefined) throw new Error(`not NAME=COMMAND: ${text}`);
  return {
    name,
    argv: (volume, far) =>
      template
        .split(/\s+/)
        .map((word) =>
          word
            .replaceAll('{source}', volume.originPath)
            .replaceAll('{store}', volume.storePath)
            .replaceAll('{target}', volume.targetPath)
            .replaceAll('{host}', far.alias)
            .replaceAll('{config}', far.configFile),
        ),
  };
}
