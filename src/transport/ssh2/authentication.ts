import type { AuthHandlerMiddleware, Prompt } from 'ssh2';
import { LvmsyncError } from '../../errors.js';
import { identityAgent } from './agent.js';
import type { SshConfig } from './config.js';
import type { Identities } from './identities.js';
import type { Ssh2 } from './library.js';
import { printable } from './server-text.js';
import type { Terminal } from './terminal.js';

/** Proves to the server who the user is. */
export interface Authentication {
  handler: AuthHandlerMiddleware;
  /** What to say when the server let nobody in, or said `reason` while hanging up. */
  failure(reason?: string): LvmsyncError;
}

/**
 * The methods OpenSSH tries, as far as ssh2 has them, in its order: none (to hear what the server
 * takes), public keys, keyboard-interactive, password. Questions are asked on the terminal only.
 * `onAbort` is told when the person breaks a question off.
 */
export function authentication(
  ssh2: Ssh2,
  config: SshConfig,
  identities: Identities,
  terminal: Terminal | undefined,
  onAbort: (error: Error) => void,
): Authentication {
  const username = config.user;
  const asker = config.batchMode ? undefined : terminal;
  const tried = new Set<string>();
  const prompts = {
    'keyboard-interactive': config.kbdInteractiveAuthentication
      ? config.numberOfPasswordPrompts
      : 0,
    password: config.passwordAuthentication ? config.numberOfPasswordPrompts : 0,
  };
  let accepted: readonly string[] = [];
  let keysOffered = false;

  const handler: AuthHandlerMiddleware = (methods: readonly string[] | null, partial, next) => {
    if (methods === null) return next({ type: 'none', username });
    accepted = methods;
    if (partial) keysOffered = false;
    if (methods.includes('publickey') && !keysOffered && identities.offered.length > 0) {
      keysOffered = true;
      for (const { label } of identities.offered) tried.add(label);
      return next({ type: 'agent', username, agent: identityAgent(ssh2, identities.offered) });
    }
    if (asker !== undefined) {
      if (methods.includes('keyboard-interactive') && prompts['keyboard-interactive']-- > 0) {
        tried.add('keyboard-interactive');
        return next({
          type: 'keyboard-interactive',
          username,
          prompt(name, instructions, _language, questions, finish) {
            answerAll(asker, [name, instructions], questions).then(finish, onAbort);
          },
        });
      }
      if (methods.includes('password') && prompts.password-- > 0) {
        tried.add('password');
        asker
          .ask(`${username}@${config.hostName}'s password: `, 'hidden')
          .then((password) => next({ type: 'password', username, password }), onAbort);
        return;
      }
    }
    refuse(next);
  };

  return {
    handler,
    failure(reason) {
      const skipped = identities.skipped.map((line) => `; skipped ${line}`).join('');
      const offered = tried.size === 0 ? 'nothing to offer' : `tried ${[...tried].join(', ')}`;
      const why = reason ?? `permission denied (${accepted.join(',') || 'no method accepted'})`;
      return new LvmsyncError(
        'AUTHENTICATION_FAILED',
        `${username}@${config.hostName}: ${why}: ${offered}${skipped}`,
        { hint: failureHint(config, identities, accepted, reason) },
      );
    },
  };
}

/** `false` ends authentication; the type of ssh2's callback does not name it. */
function refuse(next: (method: never) => void): void {
  next(false as never);
}

async function answerAll(
  terminal: Terminal,
  heading: readonly string[],
  questions: readonly Prompt[],
): Promise<string[]> {
  const answers: string[] = [];
  let lead = heading.filter((line) => line !== '').join('\n');
  if (lead !== '') lead += '\n';
  for (const { prompt, echo } of questions) {
    answers.push(await terminal.ask(printable(lead + prompt), echo === true ? 'shown' : 'hidden'));
    lead = '';
  }
  return answers;
}

function failureHint(
  config: SshConfig,
  identities: Identities,
  accepted: readonly string[],
  reason: string | undefined,
): string {
  if (reason !== undefined && /too many/i.test(reason)) {
    return 'the agent holds more keys than the server tries: name one with IdentityFile and IdentitiesOnly';
  }
  const unknown = accepted.filter(
    (method) => !['publickey', 'password', 'keyboard-interactive'].includes(method),
  );
  const only = accepted.length > 0 && unknown.length === accepted.length;
  if (only || identities.sshCouldMore) {
    return `-e ssh can do more (${[...unknown, ...config.unsupported].join(', ') || 'hardware keys and certificates'})`;
  }
  return `add a key to ~/.ssh/authorized_keys there; \`ssh -v ${config.originalHost}\` shows more`;
}
