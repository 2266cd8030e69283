import { Command } from 'commander';
import {
  bwlimit,
  compress,
  dataSource,
  dryRun,
  ENGINE,
  force,
  noSkipUnchanged,
  noVerifyBase,
  REACHING,
  REPORTING,
  skipUnchanged,
  snapback,
  snapbackFormat,
  stateDir,
  transactional,
  verifyBase,
  withOptions,
} from './shared-options.js';

export function pullCommand(): Command {
  const command = new Command('pull')
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
    .addOption(noVerifyBase());
  return withOptions(
    command,
    ...REACHING,
    compress,
    skipUnchanged,
    noSkipUnchanged,
    bwlimit,
    ...ENGINE,
    stateDir,
    force,
    ...REPORTING,
  );
}
