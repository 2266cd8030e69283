import type { EngineChoice, Offer } from '../index.js';

/**
 * What the classic command line says, and what several commands have in common; names as commander
 * makes them of the long options.
 */
export interface CliOptions {
  verbose?: true;
  debug?: true;
  quiet?: true;
  snapback?: string;
  snapbackFormat?: 3 | 4;
  transactional?: true;
  stateDir?: string;
  apply?: string;
  server?: true;
  stdout?: true;
  dataSource?: string;
  cowDevice?: string;
  rsh?: string;
  remoteCommand?: string;
  bootstrap?: true;
  sshConfig?: string;
  engine: EngineChoice;
  queueDepth?: number;
  /** In bytes. */
  bufferMemory?: number;
  protocol: 3 | 4 | 'auto';
  /** In seconds. */
  timeout: number;
  retries: number;
  channels: number | 'auto';
  streams: number | 'auto';
  dataChannel: 'ssh' | 'tls';
  compress?: true;
  skipUnchanged?: boolean;
  verifyBase: 'sample' | 'full' | false;
  /** Of a receiver: only say what the target holds. */
  answerChecks?: true;
  repair?: true;
  /** Of a sender: the conversation is on standard input and output. */
  sendToStdio?: Offer;
  /** Of the same: the source is the whole of what is named, not the changes that it lists. */
  whole?: true;
  /** Of a copy: make the target where there is none. */
  create?: true;
  thinpool?: string;
  /** The same, of its receiver. */
  createBytes?: number;
  createThinpool?: string;
  /** Of a receiver that keeps a history: how many snapbacks. */
  keep?: number;
  /** The states before and after its run; times. */
  stateBefore?: string;
  stateAfter?: string;
  /** Of a transactional receiver: apply when the sender says so. */
  hold?: true;
  force?: true;
  /** Change nothing; say what would be done. */
  dryRun?: true;
  progress?: 'auto' | 'bar' | 'plain' | 'json' | 'none';
  progressFd?: number;
  /** In bytes a second; 0: no limit. */
  bwlimit?: number;
  json?: true;
}
