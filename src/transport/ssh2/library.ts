import { replaceCiphers } from './ciphers.js';

/**
 * What is used of the `ssh2` package, loaded only when a connection is wanted: it takes a while.
 * Its main file loads Node's HTTP as well, so that its parts are asked for, and its insides are used,
 * too: package.json names one version of it.
 */
export interface Ssh2 {
  BaseAgent: typeof import('ssh2').BaseAgent;
  Client: typeof import('ssh2').Client;
  OpenSSHAgent: typeof import('ssh2').OpenSSHAgent;
  parseKey: typeof import('ssh2').utils.parseKey;
}

let loading: Promise<Ssh2> | undefined;

export function loadSsh2(): Promise<Ssh2> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Ssh2> {
  const ciphers = await loadCiphers();
  // First: whoever creates ciphers keeps the function that is there when it is loaded itself.
  ciphers.createCipher = replaceCiphers(ciphers.createCipher, ciphers.bindingAvailable);
  const { default: Client } = await import('ssh2/lib/client.js');
  const { default: agents } = await import('ssh2/lib/agent.js');
  const { default: keys } = await import('ssh2/lib/protocol/keyParser.js');
  const { BaseAgent, OpenSSHAgent } = agents;
  return { BaseAgent, Client, OpenSSHAgent, parseKey: keys.parseKey };
}

/**
 * Whether ssh2 runs its ciphers in its compiled addon. Where install scripts were disabled or
 * there was no compiler it does not, works all the same, and takes twice the CPU.
 */
export async function hasNativeCiphers(): Promise<boolean> {
  return (await loadCiphers()).bindingAvailable;
}

async function loadCiphers() {
  const { default: ciphers } = await import('ssh2/lib/protocol/crypto.js');
  return ciphers;
}
