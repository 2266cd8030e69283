/** What the man pages say beyond what the definition of the command line says. */

/** One meaning for each entry of EXIT. */
export const EXIT_MEANINGS = {
  success: 'Done; what was written is flushed and acknowledged.',
  differencesFound: 'The two sides were compared and differ.',
  usage: 'The command line is wrong.',
  refused:
    'Refused before anything was written: the source, the target or the base is not right, or something has to be done first, which is said.',
  transport: 'No connection, or it broke.',
  remote: 'The other end could not start, or failed.',
  io: 'A device could not be read or written.',
  integrity: 'What was read or received is damaged, or the snapshot changed during the run.',
  interrupted: 'Interrupted.',
  internal: 'An error in lvmsync.',
};

/** Path and meaning. */
export const FILES = [
  [
    '/var/lib/lvmsync',
    'What must outlive a run: positions to go on from, migrations under way. --state-dir or the environment variable LVMSYNC_STATE_DIR names another.',
  ],
  [
    '~/.ssh/config, /etc/ssh/ssh_config',
    'How hosts are reached, as for ssh(1); --ssh-config names another.',
  ],
  ['~/.ssh/known_hosts', 'The host keys that are accepted.'],
  [
    '/run/lvmsync',
    'Where lvmsync status finds the runs in flight; $XDG_RUNTIME_DIR/lvmsync for others than root. The environment variable LVMSYNC_RUN_DIR names another.',
  ],
];

/** Paragraphs by command. */
export const NOTES = {
  lvmsync: [
    'An LVM snapshot records which chunks of its origin have changed since it was taken. lvmsync reads that record and sends only those chunks, over SSH, onto a device of another machine that holds the state of that time. It is successful only when the target has been flushed and the receiver has acknowledged what was sent.',
    'A volume that is named like a command is given with its group or a path: vg/copy, ./copy.',
  ],
};

/** Meaning and command lines, by command. */
export const EXAMPLES = {
  lvmsync: [
    [
      'Send what has changed since the snapshot was taken:',
      'lvmsync /dev/vg/before backup:/dev/vg/data',
    ],
    [
      'The same to a host without lvmsync, which has Node:',
      'lvmsync --bootstrap vg/before backup:/dev/vg/data',
    ],
    [
      'Into a file, and from there onto a device:',
      'lvmsync vg/before --stdout > changes\nlvmsync --apply changes /dev/vg/data',
    ],
  ],
  copy: [
    [
      'The first copy, into a volume that is made for it:',
      'lvmsync copy --create vg/before backup:/dev/backup/data',
    ],
    [
      'The same, run on the host with the target:',
      'lvmsync copy --create origin:vg/before /dev/backup/data',
    ],
  ],
  pull: [
    [
      'What has changed since a snapshot of another host was taken:',
      'lvmsync pull origin:vg/before /dev/vg/data',
    ],
  ],
  migrate: [
    [
      'A volume to another machine, with its service stopped for the last changes only:',
      "lvmsync migrate vg/data backup:/dev/vg/data --before-cutover 'systemctl stop db' --after-cutover 'systemctl start db'",
    ],
  ],
  replicate: [
    [
      'Keep a copy up to date, and two days of its earlier states when run hourly:',
      'lvmsync replicate vg/data backup:/dev/vg/data --keep 48',
    ],
  ],
  doctor: [['Is all there that a transfer takes?', 'lvmsync doctor backup:/dev/vg/data']],
  verify: [
    ['Is it the same?', 'lvmsync verify vg/before backup:/dev/vg/data'],
    ['Make it the same, without any snapshot:', 'lvmsync verify --repair /dev/any backup:/dev/any'],
  ],
  diff: [
    ['How much has changed, and where?', 'lvmsync diff --map vg/before'],
    ['How long would it take over 500 megabits per second?', 'lvmsync diff --link 500M vg/before'],
  ],
  inspect: [['Is this stream whole?', 'lvmsync inspect changes']],
  rollback: [
    [
      'Put back what a run with --snapback /root/undo has overwritten:',
      'lvmsync rollback /root/undo /dev/vg/data',
    ],
  ],
  serve: [
    [
      'In authorized_keys, so that a key can write this volume and do nothing else:',
      'restrict,command="lvmsync serve --target data=/dev/vg/data" ssh-ed25519 AAAA... backup@sender',
    ],
  ],
};
