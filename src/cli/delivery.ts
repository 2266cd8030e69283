import type { DeliverOptions, Destination, SkipUnchanged } from '../index.js';
import type { Job } from './job.js';
import type { CliOptions } from './options.js';
import { packageVersion } from './version.js';

/** What of the command line says how data is sent, whatever the data. */
export function deliveryOptions(
  { options, reporter, run, signal }: Job,
  place: Destination,
): Omit<DeliverOptions, 'source' | 'engine' | 'open' | 'protocol' | 'base'> {
  return {
    command: options.remoteCommand ?? 'lvmsync',
    version: packageVersion(),
    timeoutMs: options.timeout * 1000,
    compress: options.compress,
    skipUnchanged: skipUnchanged(options, place),
    links: {
      channels: options.channels,
      streams: options.streams,
      dataChannel: options.dataChannel,
    },
    retries: place.kind === 'local' ? 0 : options.retries,
    signal,
    bandwidth: run.bandwidth,
    watcher: run.watcher,
    onStderr: reporter.relay,
    onNote: reporter.note,
    onWarning: reporter.warn,
  };
}

/** Between two disks of one machine there is no link that would be slower than the disks. */
function skipUnchanged({ skipUnchanged: wanted }: CliOptions, place: Destination): SkipUnchanged {
  if (wanted === undefined) return place.kind === 'local' ? 'never' : 'auto';
  return wanted ? 'always' : 'never';
}
