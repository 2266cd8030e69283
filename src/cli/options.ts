import type { EngineChoice, OnStall, SampleSize, SnapshotSize, VerifyChoice } from '../index.js';

/** What the command line says, names as commander makes them of the long options. */
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
  verify?: true;
  repair?: true;
  sample?: SampleSize;
  /** A snapshot: what it lists is all that is compared. */
  changed?: string;
  /** Of a copy: make the target where there is none. */
  create?: true;
  thinpool?: string;
  /** The same, of its receiver. */
  createBytes?: number;
  createThinpool?: string;
  migration?: MigrateCliOptions;
  force?: true;
}

/** What `lvmsync migrate` is told beyond that. */
export interface MigrateCliOptions {
  abort?: true;
  dryRun?: true;
  snapshotSize: SnapshotSize;
  /** Percent. */
  extendAt: number;
  /** In seconds. */
  maxDowntime: number;
  rounds?: number;
  onStall?: OnStall;
  beforeCutover?: string;
  afterCutover?: string;
  verify: VerifyChoice;
}
