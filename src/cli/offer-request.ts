import { OFFERS, type Offer } from '../index.js';
import { parseBufferMemory, parseQueueDepth } from './engine.js';
import type { CliOptions } from './options.js';
import { parseLimit, parseSeconds, refused, splitRequest } from './serve-request.js';
import { parseBandwidth } from './shared-options.js';

/** What a client of `lvmsync serve` may ask to be sent, and nothing else. */
export interface OfferRequest {
  /** The path of one of the configured sources. */
  sourcePath: string;
  options: Partial<CliOptions> & { sendToStdio: Offer };
}

export interface OfferPolicy {
  /** Path by name. */
  sources: ReadonlyMap<string, string>;
  allowForce: boolean;
}

const FLAGS: ReadonlyMap<string, Partial<CliOptions>> = new Map([
  ['-v', { verbose: true }],
  ['-d', { debug: true }],
  ['-q', { quiet: true }],
  ['--whole', { whole: true }],
  ['--compress', { compress: true }],
  ['--no-verify-base', { verifyBase: false }],
  ['--skip-unchanged', { skipUnchanged: true }],
  ['--no-skip-unchanged', { skipUnchanged: false }],
]);

export function isOfferRequest(command: string): boolean {
  return command.startsWith('lvmsync --send-to-stdio ');
}

/**
 * Understands `lvmsync --send-to-stdio OFFER OPTION... SOURCE`, as `parseServeRequest` does its kind.
 *
 * @throws LvmsyncError TARGET_UNSUITABLE for anything that is not on the list
 */
export function parseOfferRequest(command: string, policy: OfferPolicy): OfferRequest {
  const [, , wanted, ...words] = splitRequest(command);
  const offer = OFFERS.find((one) => one === wanted);
  if (offer === undefined) throw refused(`${JSON.stringify(wanted ?? '')} is nothing that is sent`);
  const source = words.pop();
  let options: OfferRequest['options'] = { sendToStdio: offer };
  const seen = new Set<string>();
  let protocol: string | undefined;
  while (words.length > 0) {
    const option = words.shift() ?? '';
    if (seen.has(option)) throw refused(`${JSON.stringify(option)} is given twice`);
    seen.add(option);
    if (option === '--protocol') protocol = words.shift();
    else options = { ...options, ...parseOption(option, words, policy) };
  }
  if (protocol !== '4') throw refused('PROTO[4] alone is spoken');
  return { options, sourcePath: findSource(source, policy) };
}

/** @param words what follows; the option's value is taken from them */
function parseOption(option: string, words: string[], policy: OfferPolicy): Partial<CliOptions> {
  const flag = FLAGS.get(option);
  if (flag !== undefined) return flag;
  switch (option) {
    case '--timeout':
      return { timeout: parseSeconds(words.shift()) };
    case '--queue-depth':
      return { queueDepth: parseLimit(option, parseQueueDepth, words.shift()) };
    case '--buffer-memory':
      return { bufferMemory: parseLimit(option, parseBufferMemory, words.shift()) };
    case '--bwlimit':
      return { bwlimit: parseLimit(option, parseBandwidth, words.shift()) };
    case '--verify-base':
      return { verifyBase: parseBaseCheck(words.shift()) };
    case '--data-source':
      return { dataSource: findSource(words.shift(), policy) };
    case '--force':
      if (!policy.allowForce) throw refused('--force is not allowed');
      return { force: true };
    default:
      throw refused(`the option ${JSON.stringify(option)} is not allowed`);
  }
}

function parseBaseCheck(how: string | undefined): 'sample' | 'full' {
  if (how === 'sample' || how === 'full') return how;
  throw refused('--verify-base is sample or full');
}

function findSource(name: string | undefined, { sources }: OfferPolicy): string {
  const path = name === undefined ? undefined : sources.get(name);
  if (path !== undefined) return path;
  if (name !== undefined && [...sources.values()].includes(name)) return name;
  throw refused('the source is none of those that are served');
}
