import { Command } from 'commander';
import {
  bootstrap,
  bufferMemory,
  bwlimit,
  compress,
  dataSource,
  debug,
  dryRun,
  engine,
  force,
  json,
  noSkipUnchanged,
  noVerifyBase,
  progress,
  progressFd,
  queueDepth,
  quiet,
  remoteCommand,
  retries,
  rsh,
  skipUnchanged,
  snapback,
  snapbackFormat,
  sshConfig,
  stateDir,
  timeout,
  transactional,
  verbose,
  verifyBase,
} from './shared-options.js';

export function pullCommand(): Command {
  return new Command('pull')
    .summary('the changes of a snapshot on another host')
    .description(
      'Bring the changes that a snapshot on another host lists onto a target of this one: for where a connection can be made in that direction only.',
    )
    .argument('<snapshot>', 'the snapshot there: [user@]host:snapshot')
    .argument('<target>', 'the device here')
    .addOption(dryRun())
    .addOption(dataSource())
    .addOption(snapback())
    .addOption(snapbackFormat())
    .addOption(transactional())
    .addOption(verifyBase())
    .addOption(noVerifyBase())
    .addOption(rsh())
    .addOption(remoteCommand())
    .addOption(bootstrap())
    .addOption(sshConfig())
    .addOption(timeout())
    .addOption(retries())
    .addOption(compress())
    .addOption(skipUnchanged())
    .addOption(noSkipUnchanged())
    .addOption(bwlimit())
    .addOption(engine())
    .addOption(queueDepth())
    .addOption(bufferMemory())
    .addOption(stateDir())
    .addOption(force())
    .addOption(progress())
    .addOption(progressFd())
    .addOption(json())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet());
}
