/** One host that the command line names, over one connection for as long as that goes well. */
import {
  bootstrapped,
  type Channel,
  type Engine,
  rshTransport,
  sshHostArgument,
  sshTransport,
  type Transport,
} from '../index.js';
import type { Job } from './job.js';

export interface Host {
  /** Starts something there, over a new connection unless what was started before has ended well. */
  start(open: (transport: Transport) => Promise<Channel>): Promise<Channel>;
  close(): Promise<void>;
}

export interface HostName {
  user: string | undefined;
  host: string;
}

export function connectToHost(job: Job, name: HostName, engine?: Engine): Host {
  let transport: Transport | undefined;
  let endedWell = false;
  return {
    async start(open) {
      if (!endedWell) await transport?.close();
      if (!endedWell || transport === undefined) transport = openTransport(job, name, engine);
      endedWell = false;
      const channel = await open(transport);
      channel.end.then(({ status }) => {
        endedWell = status === 0;
      });
      return channel;
    },
    async close() {
      await transport?.close();
    },
  };
}

export function openTransport(job: Job, name: HostName, engine?: Engine): Transport {
  const transport = openPlainTransport(job, name, engine);
  const { bootstrap, timeout } = job.options;
  if (!bootstrap) return transport;
  return bootstrapped(transport, { timeoutMs: timeout * 1000, onNote: job.reporter.note });
}

function openPlainTransport(
  { options, reporter }: Job,
  { user, host }: HostName,
  engine: Engine | undefined,
): Transport {
  const { remoteCommand } = options;
  if (options.rsh !== undefined) {
    const address = sshHostArgument(user, host);
    return rshTransport({ command: options.rsh, host: address, remoteCommand, engine });
  }
  return sshTransport({
    user,
    host,
    remoteCommand,
    engine,
    configPath: options.sshConfig,
    onNote: reporter.note,
    onWarning: reporter.warn,
  });
}
