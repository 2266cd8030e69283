import { Command, Option } from 'commander';
import {
  bootstrap,
  bufferMemory,
  bwlimit,
  channels,
  compress,
  dataChannel,
  debug,
  dryRun,
  engine,
  force,
  json,
  progress,
  progressFd,
  queueDepth,
  quiet,
  remoteCommand,
  retries,
  rsh,
  sshConfig,
  stateDir,
  streams,
  timeout,
  verbose,
} from './shared-options.js';

export function copyCommand(): Command {
  return new Command('copy')
    .summary('all of a snapshot, volume, device or file')
    .description(
      'Copy a whole snapshot, volume, block device or file. Zeroes are not sent. May be interrupted and run again: it goes on where it was.',
    )
    .argument(
      '<source>',
      'a snapshot, a logical volume, a block device or a file: [[user@]host:]source',
    )
    .argument('<target>', 'what becomes the same: [[user@]host:]device; one of the two is here')
    .addOption(
      new Option(
        '--create',
        "make the target where there is none: a logical volume /dev/GROUP/NAME of the source's size",
      ),
    )
    .addOption(new Option('--thinpool <pool>', 'make a thin volume, in this pool of the group'))
    .addOption(dryRun())
    .addOption(rsh())
    .addOption(remoteCommand())
    .addOption(bootstrap())
    .addOption(sshConfig())
    .addOption(timeout())
    .addOption(retries())
    .addOption(channels())
    .addOption(streams())
    .addOption(dataChannel())
    .addOption(compress())
    .addOption(engine())
    .addOption(queueDepth())
    .addOption(bufferMemory())
    .addOption(stateDir())
    .addOption(force())
    .addOption(bwlimit())
    .addOption(progress())
    .addOption(progressFd())
    .addOption(json())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet());
}
