import { isAbsolute } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { engine } from './shared-options.js';

/** What `lvmsync serve` allows its senders. */
export interface ServeOptions {
  /** Path by name. */
  target?: Map<string, string>;
  /** The same for what may be read. */
  source?: Map<string, string>;
  snapbackDir?: string;
  allowForce?: true;
}

export function serveCommand(): Command {
  return new Command('serve')
    .summary('receive, or send on request, for a forced command in authorized_keys')
    .description(
      'Receive, or send on request, for a forced command in authorized_keys: these targets and sources, and no others.',
    )
    .addOption(
      new Option('--target <name=path>', 'a target that may be written; may be repeated').argParser(
        addNamed,
      ),
    )
    .addOption(
      new Option(
        '--source <name=path>',
        'a snapshot, volume, device or file that may be read; may be repeated',
      ).argParser(addNamed),
    )
    .addOption(
      new Option(
        '--snapback-dir <directory>',
        'where --snapback FILE of a sender is put',
      ).argParser(absolutePath),
    )
    .addOption(new Option('--allow-force', 'let a sender override refusals with --force'))
    .addOption(engine());
}

function addNamed(text: string, before: Map<string, string> = new Map()): Map<string, string> {
  const [, name, path] = /^([A-Za-z0-9][A-Za-z0-9_.-]*)=(.+)$/s.exec(text) ?? [];
  if (name === undefined || path === undefined || !isAbsolute(path)) {
    throw new InvalidArgumentError('It is NAME=PATH, with an absolute path.');
  }
  if (before.has(name)) throw new InvalidArgumentError(`${name} is there twice.`);
  return new Map(before).set(name, path);
}

function absolutePath(path: string): string {
  if (isAbsolute(path)) return path;
  throw new InvalidArgumentError('It is an absolute path.');
}
