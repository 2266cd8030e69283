import { Command } from 'commander';
import { jsonOption, mapOption } from './map.js';
import { debug, engine, quiet, verbose } from './shared-options.js';

/** What only `lvmsync inspect` is told. */
export interface InspectOwnOptions {
  map?: true;
  json?: true;
}

export function inspectCommand(): Command {
  return new Command('inspect')
    .summary('what is in a stream or a snapback, and is it whole?')
    .description(
      'Read streams and snapbacks whole, and say what is in them, whether they are right, and in which order to use them. Exit status 7 if one is cut or damaged.',
    )
    .argument('<file...>', 'a stream or a snapback of either protocol; - is standard input')
    .addOption(mapOption())
    .addOption(jsonOption())
    .addOption(engine())
    .addOption(verbose())
    .addOption(debug())
    .addOption(quiet());
}
