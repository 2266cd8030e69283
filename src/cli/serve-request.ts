import { LvmsyncError } from '../index.js';
import { parseBufferMemory, parseQueueDepth } from './engine.js';
import { parseKeep, parseStateAfter, parseStateBefore, replicaRun } from './replica-words.js';

/** What a client of `lvmsync serve` may ask for, and nothing else. */
export interface ServeRequest {
  /** The path of one of the configured targets. */
  targetPath: string;
  verbose?: true;
  debug?: true;
  force?: true;
  /** In seconds. */
  timeout?: number;
  /** A plain file name, to be put into the configured directory. */
  snapbackName?: string;
  snapbackFormat?: 3 | 4;
  transactional?: true;
  hold?: true;
  /** Of a run that is part of a replication. */
  keep?: number;
  stateBefore?: string;
  stateAfter?: string;
  /** Only say what the target holds. */
  answerChecks?: true;
  repair?: true;
  queueDepth?: number;
  /** In bytes. */
  bufferMemory?: number;
}

export interface ServePolicy {
  /** Path by name. */
  targets: ReadonlyMap<string, string>;
  allowSnapback: boolean;
  allowForce: boolean;
}

const MAX_COMMAND_BYTES = 4096;
const MAX_SECONDS = 86_400;
/** A word as a sender of ours quotes it for a POSIX shell: plain characters, or single quotes. */
const WORD = /(?:[A-Za-z0-9_@%+:,./-]+|'[^'\0]*'|\\')+/y;
const FILE_NAME = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/;

/**
 * Understands the command line of a sender, as sshd passes it in SSH_ORIGINAL_COMMAND:
 * `lvmsync --apply - OPTION... TARGET`. It is read here and given to nobody.
 *
 * @throws LvmsyncError TARGET_UNSUITABLE for anything that is not on the list
 */
export function parseServeRequest(command: string, policy: ServePolicy): ServeRequest {
  const [program, apply, dash, ...words] = splitRequest(command);
  if (program !== 'lvmsync' || apply !== '--apply' || dash !== '-') {
    throw refused('only `lvmsync --apply -` and `lvmsync --send-to-stdio` are served');
  }
  const target = words.pop();
  const options: Omit<ServeRequest, 'targetPath'> = {};
  const seen = new Set<string>();
  let protocol: string | undefined;
  while (words.length > 0) {
    const option = words.shift() ?? '';
    if (seen.has(option)) throw refused(`${JSON.stringify(option)} is given twice`);
    seen.add(option);
    switch (option) {
      case '-v':
        options.verbose = true;
        break;
      case '-d':
        options.debug = true;
        break;
      case '--protocol':
        protocol = words.shift();
        break;
      case '--timeout':
        options.timeout = parseSeconds(words.shift());
        break;
      case '--snapback':
        options.snapbackName = parseFileName(words.shift(), policy);
        break;
      case '--snapback-format':
        options.snapbackFormat = parseFormat(words.shift());
        break;
      case '--transactional':
        options.transactional = true;
        break;
      case '--hold':
        options.hold = true;
        break;
      case '--keep':
        options.keep = parseLimit(option, parseKeep, words.shift());
        break;
      case '--state-before':
        options.stateBefore = parseLimit(option, parseStateBefore, words.shift());
        break;
      case '--state-after':
        options.stateAfter = parseLimit(option, parseStateAfter, words.shift());
        break;
      case '--answer-checks':
        options.answerChecks = true;
        break;
      case '--repair':
        options.repair = true;
        break;
      case '--queue-depth':
        options.queueDepth = parseLimit(option, parseQueueDepth, words.shift());
        break;
      case '--buffer-memory':
        options.bufferMemory = parseLimit(option, parseBufferMemory, words.shift());
        break;
      case '--force':
        if (!policy.allowForce) throw refused('--force is not allowed');
        options.force = true;
        break;
      default:
        throw refused(`the option ${JSON.stringify(option)} is not allowed`);
    }
  }
  if (protocol !== '4') throw refused('PROTO[4] alone is spoken');
  parseLimit('--keep', () => replicaRun(options), undefined);
  return { ...options, targetPath: findTarget(target, policy) };
}

/** Whether the sender listens for answers, as far as can be told of a command that may be wrong. */
export function asksForProto4(command: string): boolean {
  return / --protocol 4 /.test(command);
}

/** The words of a request, of which nothing is run. @throws LvmsyncError TARGET_UNSUITABLE */
export function splitRequest(command: string): string[] {
  if (Buffer.byteLength(command) > MAX_COMMAND_BYTES) throw refused('the command is too long');
  const words: string[] = [];
  for (let at = 0; at < command.length; ) {
    if (command[at] === ' ') {
      at++;
      continue;
    }
    WORD.lastIndex = at;
    const [quoted = ''] = WORD.exec(command) ?? [];
    at += quoted.length;
    if (quoted === '' || (at < command.length && command[at] !== ' ')) {
      throw refused('the command holds more than plain or single-quoted words');
    }
    words.push(
      quoted.replaceAll(/\\'|'([^']*)'/g, (part, inside) => (part === "\\'" ? "'" : inside)),
    );
  }
  return words;
}

export function parseLimit<T>(
  option: string,
  parse: (text: string) => T,
  text: string | undefined,
): T {
  try {
    return parse(text ?? '');
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw refused(`${option}: ${reason}`);
  }
}

export function parseSeconds(text: string | undefined): number {
  const seconds = Number(text);
  if (text !== undefined && /^\d+(\.\d+)?$/.test(text) && seconds <= MAX_SECONDS) return seconds;
  throw refused('--timeout needs a number of seconds');
}

function parseFormat(text: string | undefined): 3 | 4 {
  if (text === '3' || text === '4') return text === '3' ? 3 : 4;
  throw refused('--snapback-format is 3 or 4');
}

function parseFileName(name: string | undefined, { allowSnapback }: ServePolicy): string {
  if (!allowSnapback) throw refused('--snapback is not allowed');
  if (name !== undefined && FILE_NAME.test(name)) return name;
  throw refused('--snapback takes a plain file name');
}

function findTarget(name: string | undefined, { targets }: ServePolicy): string {
  const path = name === undefined ? undefined : targets.get(name);
  if (path !== undefined) return path;
  if (name !== undefined && [...targets.values()].includes(name)) return name;
  throw refused('the target is none of those that are served');
}

export function refused(why: string): LvmsyncError {
  return new LvmsyncError('TARGET_UNSUITABLE', `lvmsync serve refuses: ${why}`, {
    hint: 'the forced command in authorized_keys on that host lists what this key may do',
  });
}
